"""`fabula evaluate` as a user meets it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.coherence.commands import evaluate_command as command
from tests.model.runs import write_run
from tests.model.shapes import GPT

from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.record.lock import only_writer
from fabula.record.reader import read_run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A step of these models is too small to be shared: threads that wait for each other cost half a minute here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tree = {"name": "x", "steps": 10, "model": GPT.model_dump(), "schedule": {"peak": 1e-3}}
    write_run(tmp_path / "run", Recipe.from_tree(tree), steps=(10, 20))
    (tmp_path / "mine.jsonl").write_text(
        '{"prompt": "Once upon a time, there was a long beginning of a story"}\n'
        '{"prompt": "Tom", "continuation": " ran home and was very happy."}\n'
    )
    return tmp_path / "run"


def mine(run: Path, *arguments: object) -> list[dict[str, Any]]:
    file = run.parent / "mine.jsonl"
    given = ["--prompts", file, "--samples", 2, "--tokens", 30, "--json", *arguments]
    completions: list[dict[str, Any]] = json.loads(command(run, *given)[0])["completions"]
    return completions


def test_completions_are_made_again_from_what_is_written(run: Path) -> None:
    first = mine(run)
    assert [(each["number"], each["seed"], each["human"]) for each in first] == [
        (0, 0, False), (0, 1, False), (1, 0, False), (1, 1, False), (1, None, True),
    ]  # fmt: skip
    assert first[4]["text"] == " ran home and was very happy." and first[4]["tokens"] == 29 and first[4]["ended"]
    assert first[0]["text"] != first[1]["text"] and not first[0]["ended"] and first[0]["tokens"] == 30
    texts = [each["text"] for each in first]
    assert [each["text"] for each in mine(run)] == texts
    assert [each["text"] for each in mine(run, "--seed", 1)][:1] == texts[1:2]
    assert [each["text"] for each in mine(run, "--step", 10)] != texts
    greedy = mine(run, "--temperature", 0)
    assert greedy[0]["text"] == greedy[1]["text"]
    assert mine(run, "--top-p", 0.01)[0]["text"] != texts[0]
    sessions = read_run(run).sessions
    assert len(sessions) == 6 and [each["text"] for each in sessions[0].completions] == texts
    assert sessions[0].info["settings"]["samples"] == 2 and sessions[0].info["prompt_sets"]["mine"]["prompts"] == 2
    assert sessions[3].step == 10 and sessions[3].info["hashes"]["model"] != sessions[0].info["hashes"]["model"]


def test_the_default_prompts_are_ours(run: Path) -> None:
    out, err = command(run, "--samples", 1, "--tokens", 2)
    assert out.startswith("44 completions at step 20") and "next: fabula report" in out
    assert "fabula: 44 of 44 completions" in err
    out, _ = command(run, "--prompts", "original", "--prompts", run.parent / "mine.jsonl", "--samples", 1)
    assert out.startswith("5 completions")


def test_a_run_that_is_being_trained_is_left_alone(run: Path) -> None:
    held = run.resolve()
    with only_writer(run):
        from fabula.record import lock

        lock._held.discard(held.with_name(f".{held.name}.lock"))  # as if another process held it
        with pytest.raises(InputError, match="is being written by"):
            mine(run)
    assert not (run / "evaluations.jsonl").exists()


def test_wrong_input(run: Path) -> None:
    for arguments, message in (
        (["--step", 7], "no checkpoint at step 7; choose one of: 10, 20"),
        (["--best", "--step", 10], "not both"),
        (["--best"], "leave out --best"),
        (["--temperature", -1], "0 or more"),
        (["--prompts", "validation"], "--data DIR"),
        (["--data", run.parent], "not a prepared folder"),
    ):
        with pytest.raises(InputError, match=message):
            command(run, *arguments)
    with pytest.raises(InputError, match="is not a run folder"):
        command(run.parent)
    (run / "evaluations.jsonl.gz").write_bytes(b"")
    with pytest.raises(InputError, match="gunzip"):
        mine(run)
