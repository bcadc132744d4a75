"""Fits the consistency that comes with fabula.

python docs/fit_consistency.py DATA OLDER.jsonl[.gz] [--stories N] [--processes P] [--out FILE]

DATA: TinyStories, prepared; OLDER: chapters of older children's books (`text`, a line each), of which every third text
is a passage, so that something is known of other English as well. Thresholds and odds come from the `tune` split of
DATA and from passages that are kept apart; docs/measure_consistency.py measures the result on others. Four minutes
of processor time.
"""

from __future__ import annotations

import argparse
import gzip
import json
from multiprocessing import Pool
from pathlib import Path
from random import Random

from fabula.coherence.consistency.fitting import fit, fit_themes
from fabula.coherence.consistency.model import save
from fabula.coherence.consistency.shipped import PLACE
from fabula.coherence.measures.sentences import sentences_of
from fabula.coherence.stories import texts_of
from fabula.data.dataset import open_dataset

OLDER_TUNE = 200
FEWEST = 5
"""Sentences of a passage."""


def passages(path: Path, number: int) -> list[str]:
    """Whole sentences of 80 to 400 words from `number` chapters, every second one from
    its beginning. A smaller number gives the first ones of a larger."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    chapters = [json.loads(line)["text"] for line in content.splitlines()]
    Random(0).shuffle(chapters)
    found = []
    for place, text in enumerate(chapters[:number]):
        random = Random(place)
        pieces = sentences_of(text)
        start = 0 if place % 2 == 0 else random.randrange(max(1, len(pieces) - 10))
        most, taken = random.randint(80, 400), []
        for piece in pieces[start:]:
            most -= len(piece.split())
            if most < 0:
                break
            taken.append(piece)
        if len(taken) >= FEWEST:
            found.append(" ".join(taken))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("older", type=Path)
    parser.add_argument("--stories", type=int, default=4_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=PLACE)
    given = parser.parse_args()
    data = open_dataset(given.data)
    older = passages(given.older, given.stories // 2 + OLDER_TUNE)
    texts = [*texts_of(data, "train", given.stories), *older[OLDER_TUNE:]]
    tune = [*texts_of(data, "tune", 4 * OLDER_TUNE), *older[:OLDER_TUNE]]
    themes = fit_themes([*texts_of(data, "train", 2 * given.stories), *older])
    name = f"{given.stories:,} TinyStories and {len(older):,} passages of older children's books"
    with Pool(given.processes) as pool:
        save(fit(texts, tune, name, themes, lambda see, each: pool.map(see, each, 64)), given.out)
    print(f"{given.out}: {given.out.stat().st_size:,} bytes, fitted on {name}")


if __name__ == "__main__":
    main()
