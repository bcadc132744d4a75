"""What the pages say of fleets and of large corpora is what was measured."""

import json
import runpy
from pathlib import Path


def test_the_pages_are_what_the_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "fleet_page.py"))
    for name, (part, _, _) in script["PARTS"].items():
        page = (repo / "docs" / name).read_text(encoding="utf-8")
        assert page.count(f"<!-- {part}: written by fleet_page.py -->") == 1
        assert script["written"](name, page) == page, "run: python docs/fleet_page.py"


def test_no_run_of_the_record_was_lost_or_made_twice(repo: Path) -> None:
    for row in json.loads((repo / "docs" / "measured" / "fleet.json").read_text(encoding="utf-8"))["ray"]:
        assert row["finished"] == row["each_step_once"] == row["equal_bit_for_bit"] == row["runs"]
        assert row["killed"]["workers"] and row["killed"]["nodes"]


def test_a_large_corpus_is_told_with_its_extrapolation(repo: Path, tmp_path: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "fleet_page.py"))
    memory = {"peak_megabytes": 300, "peak_megabytes_with_workers": 800}
    rows = [
        {**memory, "gigabytes": 2.0, "whole": True, "stories": 2_000_000, "killed_after_seconds": 16, "seconds": 720,
         "written_megabytes": 1000},
        {**memory, "gigabytes": 20.0, "whole": False, "read_gigabytes": 3.1, "seconds": 150,
         "mean_megabytes_of_the_second_third": 700, "mean_megabytes_of_the_last_third": 701},
    ]  # fmt: skip
    record = tmp_path / "large.json"
    record.write_text(json.dumps({"corpora": rows}))
    script["large"].__globals__["LARGE"] = record
    told = script["large"]()
    assert "| 2 GB | whole, 2,000,000 stories, killed after 16 s and gone on | 720 | 300 MB | 800 MB |" in told
    assert "the whole of it would take 2.0 hours on this machine and fill 10 GB: an extrapolation" in told
