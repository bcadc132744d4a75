"""What the one who shares out a ladder wishes of those who make its runs, in the one place that all of them reach."""

from dataclasses import asdict, dataclass
from pathlib import Path

from fabula.record.content.parsing import json_value
from fabula.record.files import write_json

WISHES_FILE = ".wishes.json"


@dataclass(frozen=True)
class Wishes:
    stop: bool = False
    """Stop after this step, with a checkpoint."""
    checkpoints: int = 0
    """How many times a checkpoint was asked for."""


def wish(out: Path, wishes: Wishes) -> None:
    write_json(out / WISHES_FILE, asdict(wishes))


def forget_wishes(out: Path) -> None:
    (out / WISHES_FILE).unlink(missing_ok=True)


def read_wishes(out: Path) -> Wishes:
    """None of them where nothing can be read: it is about to be replaced, or was never there."""
    try:
        tree = json_value((out / WISHES_FILE).read_text(encoding="utf-8"))
        return Wishes(bool(tree["stop"]), int(tree["checkpoints"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Wishes()
