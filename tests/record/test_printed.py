"""Every program whose printed lines are read has an example here, and a line in the documentation."""

from pathlib import Path

import pytest

from fabula.record.foreign import read_log
from fabula.record.foreign.printed import FORMATS

EXAMPLES = {
    "nanoGPT": "parameters: 10.65M\niter 1: loss 4.25, time 34.27ms, mfu -100.00%\niter 2: loss 3.5, time 9ms\n",
    "the Trainer": "***** Running training *****\n{'loss': 4.25, 'grad_norm': 1.5}\n{'loss': 3.5, 'grad_norm': 0.9}\n",
}
"""Two lines with losses of 4.25 and 3.5, as the program prints them among others."""


def test_each_program_has_an_example() -> None:
    assert [form.program for form in FORMATS] == list(EXAMPLES)


@pytest.mark.parametrize("program", EXAMPLES)
def test_its_lines_are_read_by_its_reader_alone(program: str) -> None:
    assert [form.program for form in FORMATS if form.is_in(EXAMPLES[program])] == [program]
    (run,) = read_log(Path("train.log"), EXAMPLES[program].encode())
    assert run.train["loss"].tolist() == [4.25, 3.5]


def test_the_page_names_each_program(repo: Path) -> None:
    page = (repo / "docs" / "diagnose.md").read_text(encoding="utf-8")
    assert [form.program for form in FORMATS if f"| printed lines of {form.program} |" not in page] == []
