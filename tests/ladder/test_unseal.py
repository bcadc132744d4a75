"""Test stories are set aside, read by nothing, and scored once."""

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.train.tiny import data_in, tiny, tiny_run

from fabula import cli
from fabula.data.dataset import Dataset, Split, open_dataset, verify
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError
from fabula.ladder.unseal import unseal
from fabula.record.files import content_hash
from fabula.record.reader import read_run
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.study.ladder import read_ladder
from fabula.study.planning.on_test import on_test

QUICK = {"steps": 3, "evaluation__every": 3, "evaluation__sample_tokens": 0}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 stories of the built-in grammar, 12 of them sealed."""
    folder = tmp_path_factory.mktemp("sealed") / "stories"
    prepare("grammar", folder, tokenizer="bpe:512", limit=60, test=0.2)
    return folder


@pytest.fixture(scope="module")
def made(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder of two recipes with two seeds each, made with the test stories' files away."""
    folder = tmp_path_factory.mktemp("unseal") / "ladder"
    away = sealed.parent / "away"
    shutil.copytree(sealed, away)
    for file in [*away.rglob("test.*")]:
        file.unlink()
    for phase, rows in (("first", 4), ("second", 2)):
        for seed in (0, 1):
            name = f"small/{phase}"
            tiny_run(away, folder / "runs" / name / f"seed-{seed}", tiny(**QUICK, batch__rows=rows, name=name), seed)
    describe(folder, ["first", "second"])
    shutil.rmtree(away)
    return folder


@pytest.fixture
def ladder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "ladder")
    return tmp_path / "ladder"


def describe(folder: Path, phases: list[str], seeds: int = 2) -> None:
    plan = {"format": 1, "name": "mine", "design": "path", "tiers": ["small"], "seeds": seeds, "scale": 1.0,
            "phases": [{"name": name, "change": name} for name in phases], "workers": 1, "command": "c"}  # fmt: skip
    (folder / "ladder.json").write_text(json.dumps(plan))


def hashes(folder: Path) -> dict[str, set[int]]:
    data = data_in(folder)
    splits: list[Split] = [*(data.split(name) for name in ("train", "tune", "validation")), data.unsealed()]
    return {split.name: set(map(int, split.story_hashes)) for split in splits}


def write_stories(path: Path, num: int = 400) -> Path:
    random = np.random.default_rng(3)
    words = ["".join(random.choice(list("abcdefgh"), 5)) for _ in range(300)]
    path.write_text("\n<|endoftext|>\n".join(" ".join(random.choice(words, 30)) for _ in range(num)))
    return path


@pytest.mark.parametrize("given", [None, 0.1])
def test_the_test_stories_are_taken_from_those_to_train_on(given: float | None, tmp_path: Path) -> None:
    source = write_stories(tmp_path / "stories.txt")
    validation = None if given is None else str(given)
    prepare(str(source), tmp_path / "without", tokenizer="bpe:512", validation=validation)
    prepare(str(source), tmp_path / "with", tokenizer="bpe:512", validation=validation, test=0.15)
    before, after = data_in(tmp_path / "without"), hashes(tmp_path / "with")
    for name in ("tune", "validation"):
        assert set(map(int, before.split(name).story_hashes)) == after[name]
    assert set(map(int, before.split("train").story_hashes)) == after["train"] | after["test"]
    assert not after["train"] & after["test"]
    assert 30 < len(after["test"]) < 90, "about 60 of 400"


def test_another_tokenization_has_the_same_test_stories(tmp_path: Path) -> None:
    source = str(write_stories(tmp_path / "stories.txt", 200))
    out = tmp_path / "data"
    prepare(source, out, tokenizer="bpe:512", test=0.1)
    prepare(source, out, tokenizer="bpe:600")
    both = [open_dataset(out, name).unsealed() for name in ("bpe:512", "bpe:600")]
    assert both[0].story_hashes.tolist() == both[1].story_hashes.tolist()
    with pytest.raises(InputError, match=r"has test stories by --test 0\.1; leave --test out"):
        prepare(source, out, tokenizer="bpe:700", test=0.2)


def test_built_in_test_stories_lie_beyond_what_any_preparation_trains_on(sealed: Path) -> None:
    told = hashes(sealed)
    assert len(told["test"]) == 12
    assert not told["test"] & (told["train"] | told["tune"] | told["validation"])


@pytest.mark.parametrize(("share", "problem"), [(0.0, "lies above 0"), (0.6, "at most 0.5"), (0.001, "sets no story")])
def test_a_share_that_sets_nothing_aside_is_refused(share: float, problem: str, tmp_path: Path) -> None:
    source = str(write_stories(tmp_path / "stories.txt", 60))
    with pytest.raises(InputError, match=problem):
        prepare(source, tmp_path / "data", tokenizer="bpe:512", test=share)
    assert not (tmp_path / "data").exists()


@pytest.mark.long
def test_nothing_but_unseal_reads_the_test_split(sealed: Path, repo: Path) -> None:
    with pytest.raises(AssertionError, match="sealed"):
        data_in(sealed).split("test")
    callers = set()
    for path in (repo / "src").rglob("*.py"):
        file, nodes = path.relative_to(repo / "src" / "fabula").as_posix(), [*ast.walk(ast.parse(path.read_bytes()))]
        attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
        of_its_own = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
        of_its_own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        asked = {"unsealed", "_open"} - (of_its_own if file != "data/dataset.py" else set())
        callers |= {(file, node.attr) for node in attributes if node.attr in asked}
    readers = {file for file, _ in callers if not file.startswith(("study/", "record/", "report/"))}
    assert readers == {"data/dataset.py", "ladder/unseal.py"}, callers


def test_the_losses_are_those_of_the_yardstick(ladder: Path, sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With validation in place of test they are the record's own."""
    monkeypatch.setattr(Dataset, "unsealed", lambda self: self.split("validation"))
    told = unseal(ladder, sealed)
    assert len(told.losses) == 4
    for run, losses in told.losses.items():
        final = read_run(ladder / run).full_evals()
        assert losses["stream"] == pytest.approx(final["val_loss"][-1], rel=1e-5)
        assert losses["story"] == pytest.approx(final["val_loss_story"][-1], rel=1e-5)


def test_it_is_done_once_and_the_page_tells_both_verdicts(
    ladder: Path, sealed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library")
    assert cli.run(["unseal", str(ladder), "--data", str(sealed)]) == 0
    first = capsys.readouterr().out
    content = (ladder / "test.json").read_bytes()
    assert cli.run(["unseal", str(ladder), "--data", str(sealed)]) == 2
    second = capsys.readouterr()
    assert second.out.splitlines()[:5] == first.splitlines()[:5]
    assert "computed once" in second.err
    assert (ladder / "test.json").read_bytes() == content
    said = json.loads(content)
    page = (ladder / "report.md").read_text(encoding="utf-8")
    assert said["unsealed"] in page
    assert "without a plan that was frozen before" in page
    (both,) = (on_test(read_ladder([ladder])) or pytest.fail("unsealed")).answers
    assert both.test is not None
    of = {
        name: [said["losses"][f"runs/small/{name}/seed-{seed}"]["stream"] for seed in (0, 1)]
        for name in ("first", "second")
    }
    assert both.test.comparisons["stream"].estimate.mean == pytest.approx(np.mean(of["second"]) - np.mean(of["first"]))
    assert both.test.comparisons["stream"].ruler != both.validation.comparisons["stream"].ruler


Spoil = Callable[[Path], None]
DAMAGE: dict[str, tuple[Spoil, str]] = {
    "edited": (lambda file: file.write_text(file.read_text().replace('"stream": ', '"stream": 1')), "changed after"),
    "cut": (lambda file: file.write_text(file.read_text()[:90]), "is damaged"),
    "of another kind": (lambda file: file.write_text("[3]"), "is damaged"),
    "texts for losses": (
        lambda file: file.write_text(json.dumps((said := {"losses": {"r": {"stream": "3"}}, "unsealed": "t"})
                                                | {"hash": content_hash(said)})),
        "is damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_losses_that_were_changed_are_not_shown(how: str, ladder: Path) -> None:
    said = {
        "unsealed": "2026-01-02",
        "plan_hash": None,
        "rulers": {},
        "losses": {"runs/small/first/seed-0": {"stream": 3.5}},
    }
    (ladder / "test.json").write_text(json.dumps({**said, "hash": content_hash(said)}))
    assert not (on_test(read_ladder([ladder])) or pytest.fail("unsealed")).problem
    spoil, problem = DAMAGE[how]
    spoil(ladder / "test.json")
    page = render_markdown(make_document(read_ladder([ladder])))
    assert problem in page
    assert "3.5" not in page.split("On the test stories")[1].split("##")[0]
    with pytest.raises(InputError, match="scored only once"):
        unseal(ladder)


def test_a_ladder_that_is_not_whole_is_refused(ladder: Path, sealed: Path, grammar_folder: Path) -> None:
    with pytest.raises(InputError, match="was made with other stories"):
        unseal(ladder, grammar_folder)
    with pytest.raises(InputError, match="has no test stories; set some aside before training"):
        data_in(grammar_folder).unsealed()
    describe(ladder, ["first", "second"], seeds=3)
    with pytest.raises(InputError, match=r"2 of 6 runs have not ended, runs/small/first/seed-2 among them"):
        unseal(ladder, sealed)
    (ladder / "ladder.json").unlink()
    with pytest.raises(InputError, match="holds no ladder"):
        unseal(ladder, sealed)
    assert not (ladder / "test.json").exists()


@pytest.mark.parametrize("wrong", ['[3]', '{"tiers": ["small"], "phases": [{}], "seeds": 2}',
                                   '{"tiers": ["small"], "phases": [{"name": "first"}]}',
                                   '{"tiers": 3, "phases": [], "seeds": 2}'])  # fmt: skip
def test_a_damaged_ladder_is_refused(wrong: str, ladder: Path, sealed: Path) -> None:
    (ladder / "ladder.json").write_text(wrong)
    with pytest.raises(InputError, match=r"ladder\.json"):
        unseal(ladder, sealed)
    assert not (ladder / "test.json").exists()


def test_verify_hashes_the_sealed_stories_too(sealed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stories"
    shutil.copytree(sealed, folder)
    assert verify(folder) == len([path for path in folder.rglob("*") if path.is_file()])
    path = next(folder.rglob("test.tokens.bin"))
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1, *path.read_bytes()[1:]]))
    with pytest.raises(InputError, match=r"test\.tokens\.bin is damaged"):
        verify(folder)
