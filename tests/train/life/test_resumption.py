"""Where a run goes on when what it left behind is damaged, and where it goes on when it is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.train.tiny import metrics, same_tensors, tensors, tiny_run, tiny_training

from fabula.errors import InputError
from fabula.record.checkpoint import checkpoint_steps, write_checkpoint
from fabula.record.reader import read_run
from fabula.train.life.checkpoints.resumption import From
from fabula.train.life.run import resume_run
from fabula.train.observer import Observer


class Listening(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture(scope="module")
def whole(grammar_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(grammar_folder, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """The run as it is when its process is killed after its last step."""
    shutil.copytree(whole, tmp_path / "run")
    info = tmp_path / "run" / "run.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"status": "running"}))
    return tmp_path / "run"


def resumed(folder: Path, run: Path, wanted: From | None = None) -> tuple[list[str], list[dict[str, Any]]]:
    """Go on with the run. Returns what was said, and the events since."""
    listening = Listening()
    num_events = 2  # started, finished
    assert resume_run(tiny_training(folder, observer=listening), run, wanted or From()) == "finished"
    events = read_run(run).events
    return listening.notices, [each for each in events[1:] if each["event"] != "finished"][: len(events) - num_events]


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def poison(run: Path, step: int, name: str = "model.safetensors") -> None:
    """A checkpoint that is whole, and of no use."""
    folder = checkpoint(run, step)
    state = json.loads((folder / "state.json").read_text())
    files = {each: load_file(folder / each) for each in state["sha256"]}
    next(iter(files[name].values())).view(-1)[0] = float("nan")
    state = {key: value for key, value in state.items() if key not in ("step", "sha256", "checksum")}
    writers = {each: (lambda path, each=each: save_file(files[each], path)) for each in files}
    write_checkpoint(run, step, writers, state)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut weights": lambda run: cut(checkpoint(run, 12) / "model.safetensors"),
    "no weights": lambda run: (checkpoint(run, 12) / "model.safetensors").unlink(),
    "a bit of the moments": lambda run: flip(checkpoint(run, 12) / "optimizer.safetensors"),
    "a bit of the state": lambda run: flip(checkpoint(run, 12) / "state.json"),
    "no state": lambda run: (checkpoint(run, 12) / "state.json").unlink(),
    "weights that are no numbers": lambda run: poison(run, 12),
    "moments that are no numbers": lambda run: poison(run, 12, "optimizer.safetensors"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_named(
    damage: str, stopped: Path, whole: Path, grammar_folder: Path
) -> None:
    DAMAGES[damage](stopped)
    said, events = resumed(grammar_folder, stopped)
    assert len(said) == 2 and said[0].endswith("; going on from the checkpoint of step 8") and "00000012" in said[0]
    assert said[1].startswith("set aside: the checkpoint of step 12, now in ")
    assert [each["event"] for each in events] == ["checkpoint_damaged", "resumed"] and events[0]["checkpoint"] == 12
    assert metrics(stopped, events=False) == metrics(whole, events=False)
    assert same_tensors(tensors(stopped), tensors(whole))


def test_several_damaged_checkpoints_are_passed_over(stopped: Path, whole: Path, grammar_folder: Path) -> None:
    poison(stopped, 8)
    cut(checkpoint(stopped, 12) / "optimizer.safetensors")
    _, events = resumed(grammar_folder, stopped)
    assert [each.get("checkpoint") for each in events] == [12, 8, None] and events[-1]["set_aside"] == [8, 12]
    assert same_tensors(tensors(stopped), tensors(whole))


def test_without_a_sound_checkpoint_nothing_is_touched(stopped: Path, grammar_folder: Path) -> None:
    for step in (4, 8, 12):
        poison(stopped, step)
    before = (stopped / "metrics.jsonl").read_bytes()
    with pytest.raises(
        InputError, match=r"is not finite, and no other checkpoint \(8, 4\) is sound; train again"
    ) as error:
        resume_run(tiny_training(grammar_folder), stopped)
    assert "\n" not in str(error.value) and checkpoint_steps(stopped) == [4, 8, 12]
    assert (stopped / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("wanted", [From(step=4), From(best=True)])
def test_a_run_goes_on_where_it_is_told(wanted: From, stopped: Path, whole: Path, grammar_folder: Path) -> None:
    # Evaluated are the steps 5, 10 and 12; of 12 alone there is a checkpoint, which is then the best one.
    at = 12 if wanted.best else 4
    said, events = resumed(grammar_folder, stopped, wanted)
    assert events[-1]["event"] == "resumed" and events[-1]["step"] == at
    assert (stopped / "checkpoints.discarded").is_dir() == bool(said) == (at == 4)
    assert metrics(stopped, events=False) == metrics(whole, events=False)
    assert same_tensors(tensors(stopped), tensors(whole)) and checkpoint_steps(stopped) == [4, 8, 12]


def test_a_step_without_a_sound_checkpoint_is_refused(stopped: Path, grammar_folder: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint at step 5; choose one of: 4, 8, 12"):
        resume_run(tiny_training(grammar_folder), stopped, From(step=5))
    cut(checkpoint(stopped, 8) / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors is missing or damaged; remove"):
        resume_run(tiny_training(grammar_folder), stopped, From(step=8))
    assert checkpoint_steps(stopped) == [4, 8, 12]


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_a_record_that_lost_lines_goes_on_from_the_newest_checkpoint(
    kept: float, stopped: Path, whole: Path, grammar_folder: Path
) -> None:
    shutil.rmtree(checkpoint(stopped, 12))
    offset = json.loads((checkpoint(stopped, 8) / "state.json").read_text())["offsets"]["metrics"]
    path = stopped / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[: int(kept * offset)])
    said, _ = resumed(grammar_folder, stopped)
    (told,) = said
    assert "metrics.jsonl is " in told and " is lost; the training goes on from the checkpoint of step 8" in told
    (lost,) = [each for each in read_run(stopped).events if each["event"] == "record_incomplete"]
    assert lost["stream"] == "metrics" and lost["missing_bytes"] > 0 and lost["to_step"] == 8
    assert same_tensors(tensors(stopped), tensors(whole))
    steps = read_run(stopped).train["step"].tolist()
    assert steps == sorted(set(steps)) and steps[-4:] == [9, 10, 11, 12]
    assert resume_run(tiny_training(grammar_folder), stopped, From(step=4)) == "finished", "its offset is of no use"
    assert read_run(stopped).train["step"].tolist()[-8:] == [5, 6, 7, 8, 9, 10, 11, 12]


def test_torch_is_not_asked_to_unpickle(stopped: Path, grammar_folder: Path) -> None:
    torch.save({"a": 1}, checkpoint(stopped, 12) / "model.safetensors")
    said, _ = resumed(grammar_folder, stopped)
    assert "model.safetensors is missing or damaged" in said[0]


def other_digit(path: Path) -> None:
    """A number that is another one: the line can be read as well as before."""
    text = path.read_text()
    at = text.index('"step": 1,')
    start = text.index('"loss": ', at) + len('"loss": ')
    path.write_text(text[:start] + ("3" if text[start] != "3" else "4") + text[start + 1 :])


def test_a_number_that_changed_is_named(stopped: Path, whole: Path, grammar_folder: Path, tmp_path: Path) -> None:
    other_digit(stopped / "metrics.jsonl")
    said, events = resumed(grammar_folder, stopped)
    assert said == ["metrics.jsonl is not what it was at step 12; the training goes on from the checkpoint of step 12"]
    assert "record_incomplete" in [each["event"] for each in events]

    finished = tmp_path / "finished"
    shutil.copytree(whole, finished)
    other_digit(finished / "metrics.jsonl")
    with pytest.raises(InputError, match=r"metrics\.jsonl is not what the run wrote \(run\.json has its hash\)"):
        read_run(finished)
    shutil.copyfile(whole / "metrics.jsonl", finished / "metrics.jsonl")
    assert read_run(finished).status == "finished"
    (finished / "samples.jsonl").unlink()
    with pytest.raises(InputError, match=r"samples\.jsonl is not what the run wrote"):
        read_run(finished)
