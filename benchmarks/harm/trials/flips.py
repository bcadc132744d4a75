"""Flipped bits: said, or harmless, and never a number on a page."""

import shutil
from pathlib import Path
from random import Random

import numpy as np
from harm.trials.place import fresh

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.findings import diagnose
from fabula.record.checkpoint import read_checkpoint
from fabula.record.reader import read_run


def run(random: Random) -> str:
    """A flipped bit in a run folder: refused or said, or what is read is what was written."""
    fresh("flipped")
    shutil.copytree("whole", "flipped")
    path = _flip(Path("flipped"), random)
    try:
        mine, whole = read_run(Path("flipped")), read_run(Path("whole"))
        told = diagnose(mine).as_json()
        checkpoint = read_checkpoint(Path("flipped"))
    except InputError:
        return ""
    same = all(
        np.array_equal(one[name], other[name], equal_nan=True)
        for one, other in ((mine.train, whole.train), (mine.evals, whole.evals))
        for name in other
    )
    if same and told == diagnose(whole).as_json() and checkpoint.state == read_checkpoint(Path("whole")).state:
        return ""
    return f"silent: {path.relative_to('flipped')}"


def stories(random: Random) -> str:
    fresh("flipped")
    shutil.copytree("stories", "flipped")
    path = _flip(Path("flipped"), random)
    try:
        mine, whole = open_dataset(Path("flipped")), open_dataset(Path("stories"))
        for name in ("train", "tune", "validation"):
            one, other = mine.split(name), whole.split(name)
            if one.num_stories != other.num_stories:
                return f"silent: {path.relative_to('flipped')}"
            for story in range(one.num_stories):
                if not np.array_equal(one.story(story), other.story(story)):
                    return f"silent: {path.relative_to('flipped')}"
        if mine.tokenizer.hash != whole.tokenizer.hash or mine.hash != whole.hash:
            return f"silent: {path.relative_to('flipped')}"
    except InputError:
        return ""
    return ""


def _flip(folder: Path, random: Random) -> Path:
    """Flip one to eight bits of one file."""
    path = random.choice(sorted(each for each in folder.rglob("*") if each.is_file() and each.stat().st_size))
    content = bytearray(path.read_bytes())
    for _ in range(random.choice([1, 1, 1, 8])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return path
