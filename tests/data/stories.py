"""Stories for tests: made up, written, and read back."""

import json
import random
from pathlib import Path

from fabula.data.dataset import SPLITS, Dataset, SplitName

WORDS = (
    "the a one small big red blue old happy sad cat dog bird girl boy tree house river stone cake ball hat friend "
    "mother king saw found lost ate made took gave ran flew sang slept went said and but then so because under over"
).split()


def made_up(num: int, seed: int = 0, num_words: int = 40) -> list[str]:
    """Different stories of random words: none is a near-duplicate of another."""
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=num_words)) + f", {i}." for i in range(num)]


def jsonl(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def texts_of(data: Dataset, name: SplitName) -> list[str]:
    split = data.split(name)
    return [data.tokenizer.decode(split.story(index)) for index in range(split.num_stories)]


def all_texts_of(data: Dataset) -> list[str]:
    """The stories of all splits, sorted."""
    return sorted(text for name in SPLITS for text in texts_of(data, name))
