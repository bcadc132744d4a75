"""A power cut at any moment: of all that was written since the last sync, some is there, some is not, in any order."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from harm.trials.forked import TRACE, forked
from harm.trials.place import EXPORT, PREPARE, TRAIN, Trial, differs, fresh
from harm.trials.writes import (
    NOTHING,
    Cut,
    Moved,
    Named,
    Operation,
    Synced,
    Written,
    after_power_cut,
    traced,
)

from fabula.data.dataset import Dataset, open_dataset
from fabula.errors import InputError
from fabula.model.load import read_weights
from fabula.record.checkpoint import checkpoint_steps, read_checkpoint
from fabula.record.reader import read_info

KINDS = {each.__name__: each for each in (Written, Cut, Named, Moved, Synced)}
STEP = re.compile(r"step-\d+")
_traces: dict[str, tuple[list[Operation], int]] = {}


def training(random: Random) -> str:
    """One cut, or several: what goes on after one is traced and cut as well. Nothing that was synced is lost, and the
    run ends bit by bit as if nothing had happened, its record too."""
    fresh("disk", "cut", "sure")
    keep = random.choice(["0", "2"])
    operations, first = _trace_once(f"keep {keep}", [*TRAIN, "disk/run", "--set", f"checkpoint.keep={keep}"])
    for _ in range(random.choice([1, 1, 2, 3])):
        done = operations[: random.randint(first, len(operations))]
        fresh("cut", "sure")
        after_power_cut(done, random, NOTHING).write(Path("sure"))
        after_power_cut(done, random).write(Path("cut"))
        if wrong := _judged(Path("cut/run"), Path("sure/run")) or _lost(done, Path("sure/run")):
            return f"{len(done)} of {len(operations)} operations: {wrong}"
        fresh("disk")
        shutil.move("cut", "disk")
        again = ["--resume"] if Path("disk/run/run.json").is_file() else []
        operations, first, ended = _trace([*TRAIN, "disk/run", *(again or ["--set", f"checkpoint.keep={keep}"])])
        if ended:
            return f"after {len(done)}: {ended}"
        if wrong := differs(Path("disk/run")):
            return f"after {len(done)}: {wrong}"
        if "record_incomplete" in Path("disk/run/metrics.jsonl").read_text(encoding="utf-8"):
            return f"after {len(done)}: the record has lost what a checkpoint counts on"
    return ""


def _judged(left: Path, sure: Path) -> str:
    """What is wrong with what a power cut has left; `sure`: what was synced."""
    told = forked(["diagnose", str(left)])
    if TRACE in told.said or told.code not in (0, 1, 2):
        return f"diagnose: code {told.code}: {told.last}"
    if not (sure / "run.json").is_file():
        return ""
    if not (left / "run.json").is_file():
        return "the run is gone"
    try:
        status, promised = read_info(left)["status"], read_info(sure)["status"]
        if promised == "finished" and status != "finished":
            return f"it had finished, and says {status}"
        if status == "finished" and (wrong := differs(left)):
            return f"it says that it has finished: {wrong}"
        if steps := checkpoint_steps(sure):
            read_checkpoint(sure)
            read_checkpoint(left, steps[-1])
    except InputError as error:
        return str(error)
    return ""


def _lost(done: Sequence[Operation], sure: Path) -> str:
    """The newest checkpoint that the program took for safe, since it had synced its folder, and that is not."""
    promised: dict[str, bool] = {}
    for each in done:
        if isinstance(each, Moved):
            promised.pop(each.source[1], None)
            if STEP.fullmatch(each.target[1]):
                promised[each.target[1]] = False
                folder = each.target[0]
        elif isinstance(each, Synced) and promised and each.what == folder:
            promised = dict.fromkeys(promised, True)
    safe = sorted(name for name, synced in promised.items() if synced)
    return "" if not safe or (sure / "checkpoints" / safe[-1]).is_dir() else f"{safe[-1]} is lost"


def preparation(random: Random) -> str:
    """Whole or absent, and the next call makes it; what it said was written is there."""
    fresh("disk", "cut")
    operations, first = _trace_once("prepare", [*PREPARE, "disk/made"])
    cut = random.randint(first, len(operations))
    after_power_cut(operations[:cut], random).write(Path("cut"))
    made = Path("cut/made")
    if not made.exists() and cut == len(operations):
        return "it is gone"
    if not made.exists() and (ended := forked([*PREPARE, str(made)])).code != 0:
        return ended.last
    try:
        mine, whole = open_dataset(made), _whole_stories()
        for name in ("train", "tune", "validation"):
            if not (mine.split(name).tokens == whole.split(name).tokens).all():
                return f"{name} differs"
    except InputError as error:
        return f"{cut} of {len(operations)}: {error}"
    return ""


def export(random: Random) -> str:
    fresh("disk", "cut")
    operations, first = _trace_once("export", [*EXPORT, "disk/made"])
    cut = random.randint(first, len(operations))
    after_power_cut(operations[:cut], random).write(Path("cut"))
    made, whole = Path("cut/made"), Path("sound-export")
    if not whole.exists():
        assert forked([*EXPORT, str(whole)]).code == 0
    if not made.exists():
        return "it is gone" if cut == len(operations) else ""
    try:
        same = all((made / path.name).stat().st_size == path.stat().st_size for path in whole.iterdir())
        one, two = (read_weights(each / "model.safetensors") for each in (made, whole))
    except (OSError, InputError) as error:
        return f"{cut} of {len(operations)}: {error}"
    return "" if same and all((one[name] == two[name]).all() for name in two) else "it is not whole"


def _whole_stories() -> Dataset:
    if not Path("sound-stories").exists():
        assert forked([*PREPARE, "sound-stories"]).code == 0
    return open_dataset(Path("sound-stories"))


def _trace_once(name: str, command: Sequence[str]) -> tuple[list[Operation], int]:
    """The trace of a command on an empty disk."""
    if name not in _traces:
        Path("disk").mkdir()
        operations, first, wrong = _trace(command)
        assert not wrong, wrong
        _traces[name] = operations, first
        fresh("disk")
    return _traces[name]


def _trace(command: Sequence[str]) -> tuple[list[Operation], int, str]:
    """The operations below disk/, the number of the first one of the command's own, and what went wrong."""

    @contextmanager
    def tracing() -> Iterator[None]:
        with traced(Path("disk")) as trace:
            yield
        lines = [[trace.first]] + [[type(each).__name__, vars(each)] for each in trace.operations]
        Path("trace.json").write_text(json.dumps(lines, default=_as_text), encoding="utf-8")

    ended = forked(command, around=tracing)
    if ended.code != 0:
        return [], 0, f"code {ended.code}: {ended.last}"
    (first,), *lines = json.loads(Path("trace.json").read_text(encoding="utf-8"))
    return [_operation(name, fields) for name, fields in lines], first, ""


def _as_text(content: object) -> str:
    assert isinstance(content, bytes)
    return content.decode("latin-1")


def _operation(name: str, fields: dict) -> Operation:
    if name == "Written":
        fields["content"] = fields["content"].encode("latin-1")
    return KINDS[name](**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})


ROWS: dict[str, Trial] = {
    "power cut while training: nothing synced is lost, it ends bit by bit as if nothing had happened": training,
    "power cut while preparing: the folder is whole or absent": preparation,
    "power cut while exporting: the folder is whole or absent": export,
}
