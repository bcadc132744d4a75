"""Which stories form which split: decided from one pass over the text, before any token is written.

`validation` comes from its own files where the source has them, else from the stories with the lowest keys (hashes of
their letters and digits, so that copies of one story never part); `tune` from those with the highest. Both are bounded
in size, for a full evaluation reads all of a split.
"""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fabula.data.dataset import SplitName
from fabula.data.prepare.duplicates import EXACT_RULE, HeldOut, shingle_rule
from fabula.data.prepare.journal import State, appended
from fabula.data.prepare.passes import Passes
from fabula.data.prepare.tasks import HASHES, Count, Fingerprint, Selection
from fabula.data.stories.chunks import Chunk, StoryFile
from fabula.data.stories.finding import SourceFiles
from fabula.data.stories.separators.cutting import EOT
from fabula.data.stories.sources import CutSource, FileSource, GrammarSource, KeptSource, Source
from fabula.data.tokenizers.bpe import EOT_TEXT
from fabula.errors import InputError

HELD_OUT_SHARE = 0.05
HELD_OUT_BYTES = 20_000_000  # 5 M GPT-2 tokens, the size of TinyStories' own validation split
GRAMMAR_STORIES = 60_000
GRAMMAR_HELD_OUT = 400
"""Stories of validation and of tune, at most. The two whole evaluations of 1,000 take as long as 100 steps of the
recommended recipe: on a slow laptop, most of a first training of two minutes."""
GRAMMAR_PLACES = 1_000
"""Story numbers that are kept free for each of them, so that preparations of different size share them."""
GRAMMAR_TEST = 10_000_000
"""The number of the first test story: beyond what any preparation trains on."""
GRAMMAR_STORY_BYTES = 750
SHINGLES_IN_MEMORY = 4_000_000
COUNTED = ("num_stories", "num_bytes", "least", "greatest", "take")
KEPT_BYTES = 32_000_000
"""Stories of so much text at most stay in memory once they are read; more are read again in each pass."""


@dataclass(frozen=True)
class SplitPlan:
    source: Source
    selection: Selection


@dataclass(frozen=True)
class Plan:
    splits: dict[SplitName, SplitPlan]
    num_train_bytes: int
    """About: what is left after the held-out splits are taken."""
    validation_rule: str
    tune_rule: str
    duplicate_rule: str
    test_rule: str | None = None

    def nothing_left(self) -> InputError:
        """What to raise when all stories to train on were near-duplicates."""
        return InputError(
            f"{self.splits['train'].source.name}: nothing is left to train on, for every story resembles "
            f"a held-out one ({self.duplicate_rule})"
        )


@dataclass(frozen=True)
class _Count:
    source: Source
    num_stories: int
    num_bytes: int
    least_key: int
    greatest_key: int
    candidates: FileSource


def plan_grammar(
    limit: int | None, validation: FileSource | float | None, passes: Passes, test: float | None = None
) -> Plan:
    """Splits of the built-in grammar from disjoint ranges of story numbers.

    Validation and tune come first and start at fixed numbers, so that preparations of different size share them.
    """
    total = GRAMMAR_STORIES if limit is None else limit
    share = validation if isinstance(validation, float) else HELD_OUT_SHARE
    num_validation = max(1, round(total * share))
    if not isinstance(validation, float):
        num_validation = min(num_validation, GRAMMAR_HELD_OUT)
    num_tune = max(1, min(num_validation, round(total * HELD_OUT_SHARE), GRAMMAR_HELD_OUT))
    tune_start = max(GRAMMAR_PLACES, num_validation)
    train_start = tune_start + GRAMMAR_PLACES
    num_test = 0 if test is None else max(1, round(total * test))
    num_train = total - num_tune - num_test - (0 if isinstance(validation, FileSource) else num_validation)
    if num_train < 1:
        raise InputError(f"{total} stories are too few for {'four' if num_test else 'three'} splits; raise --limit")
    name = "grammar"
    splits: dict[SplitName, SplitPlan] = {
        "validation": SplitPlan(GrammarSource(name, 0, num_validation), Selection()),
        "tune": SplitPlan(GrammarSource(name, tune_start, tune_start + num_tune), Selection()),
        "train": SplitPlan(GrammarSource(name, train_start, train_start + num_train), Selection()),
    }
    if num_test:
        splits["test"] = SplitPlan(GrammarSource(name, GRAMMAR_TEST, GRAMMAR_TEST + num_test), Selection())
    rule = f"stories 0 to {num_validation - 1} of the grammar"
    if isinstance(validation, FileSource):
        splits["validation"] = SplitPlan(validation, Selection())
        rule = f"all stories of {validation.name}"
    plan = Plan(
        splits=splits,
        num_train_bytes=GRAMMAR_STORY_BYTES * num_train,
        validation_rule=rule,
        tune_rule=f"stories {tune_start} to {tune_start + num_tune - 1} of the grammar",
        duplicate_rule=EXACT_RULE,
        test_rule=f"{num_test} stories of the grammar from number {GRAMMAR_TEST} on" if num_test else None,
    )
    return _without_duplicates(plan, None, passes)


def plan_files(
    files: SourceFiles,
    limit: int | None,
    validation: FileSource | float | None,
    passes: Passes,
    test: float | None = None,
) -> Plan:
    """Splits of stories in files. Raises InputError for wrong contents, and where a split would be empty."""
    given = validation if isinstance(validation, FileSource) else None
    if validation is None:
        given = files.validation
    most = HELD_OUT_SHARE
    if limit is None:  # while the amount of text is unknown, set aside no more than four times what will be held out
        most = min(most, 4 * HELD_OUT_BYTES / max(1, files.train.size))
    share = validation if isinstance(validation, float) else most
    low = 0 if given is not None else int(share * HASHES)
    high = HASHES - int(most * HASHES)
    counted = _count("some", files.train, limit, low, high, passes)
    if (given is None and counted.least_key >= low) or counted.greatest_key < high:
        counted = _count("all", files.train, limit, HASHES, HASHES, passes)  # so few stories that all are candidates
    separation = files.separated.notice(counted.num_stories) if files.separated else None
    if separation is not None:
        passes.progress.notice(separation)
    if not isinstance(validation, float):
        share = min(share, HELD_OUT_BYTES / counted.num_bytes)
    if given is None:
        low = max(int(share * HASHES), counted.least_key + 1)
        held_out = SplitPlan(counted.candidates, Selection(0, low))
        num_validation_bytes = round(share * counted.num_bytes)
        rule = f"{share:.3g} of the stories, by hash of their letters and digits"
    else:
        counted_given = _count("none", given, None, 0, HASHES, passes)
        held_out = SplitPlan(counted_given.source, Selection())
        num_validation_bytes = counted_given.num_bytes
        rule = f"all stories of {', '.join(Path(file.name).name for file in given.files[:3])}"
        rule += " and more files" if len(given.files) > 3 else ""
    tune_share = min(most, num_validation_bytes / counted.num_bytes, HELD_OUT_BYTES / counted.num_bytes)
    high = min(HASHES - int(tune_share * HASHES), counted.greatest_key)
    if low >= high or counted.num_stories < (3 if given is None else 2):
        raise _too_few(files, counted.num_stories)
    rate = _rate(max(num_validation_bytes, tune_share * counted.num_bytes))
    splits: dict[SplitName, SplitPlan] = {
        "validation": held_out,
        "tune": SplitPlan(counted.candidates, Selection(high, HASHES)),
        "train": SplitPlan(counted.source, Selection(low, high)),
    }
    if test is not None:  # beside validation in the order of keys, so that tune stays what it is without one
        end = min(low + int(test * HASHES), high)
        splits["test"] = SplitPlan(counted.source, Selection(low, end))
        splits["train"] = SplitPlan(counted.source, Selection(end, high))
        low = end
    if low >= high:
        raise _too_few(files, counted.num_stories)
    plan = Plan(
        splits=splits,
        num_train_bytes=round(counted.num_bytes * (high - low) / HASHES),
        validation_rule=rule,
        tune_rule=f"{tune_share:.3g} of the stories to train on, by hash of their letters and digits",
        duplicate_rule=shingle_rule(rate),
        test_rule=f"{test:.3g} of the stories, by hash of their letters and digits" if test is not None else None,
    )
    return _without_duplicates(plan, rate, passes, max(rate, _rate((test or 0.0) * counted.num_bytes)))


def _rate(num_bytes: float) -> int:
    """Of so much held-out text, one shingle in so many is kept."""
    rate = 8
    while num_bytes / rate > SHINGLES_IN_MEMORY:
        rate *= 2
    return rate


def _too_few(files: SourceFiles, num_stories: int) -> InputError:
    message = (
        f"{files.train.name} holds too few different stories ({num_stories}) for the splits, "
        "of which train, tune and validation need one each"
    )
    how = files.separated
    if how is None or how.separator == EOT:
        return InputError(message)
    eot = "" if how.asked else f"no {EOT_TEXT} in it; "
    return InputError(
        f"{message}; {eot}they were read as {how.separator.words()}; say what stands between the stories: --split-on"
    )


def _count(which: str, source: Source, limit: int | None, low: int, high: int, passes: Passes) -> _Count:
    """Read a source to its end, or to `limit` stories, and set aside those with a key outside [low, high)."""
    place = passes.journal.at(note := f"reading-{which}")
    so_far = {"num_stories": 0, "num_bytes": 0, "least": HASHES, "greatest": -1, "take": 0} | place.state
    num_stories, num_bytes, least, greatest, take = (so_far[name] for name in COUNTED)
    num_chunks = place.chunks
    kept: list[Chunk] = []
    path = passes.work / f"{which}-candidates.jsonl"
    with appended(path, place.state) as (file, size):
        file.seek(0, os.SEEK_END)

        def state() -> State:
            return {**dict(zip(COUNTED, (num_stories, num_bytes, least, greatest, take), strict=True)), **size()}

        task = Count(low, high, keep=source.size <= KEPT_BYTES and not passes.journal.keeps)
        for counted in () if place.done else passes.over("reading", task, source, place.chunks):
            take = len(counted.keys) if limit is None else min(len(counted.keys), limit - num_stories)
            num_chunks += 1
            num_stories += take
            num_bytes += int(counted.num_bytes[:take].sum())
            if take:
                least = min(least, int(counted.keys[:take].min()))
                greatest = max(greatest, int(counted.keys[:take].max()))
            file.writelines(_line(text) for at, text in counted.candidates if at < take)
            if counted.parsed is not None and num_bytes <= KEPT_BYTES:
                kept.append(counted.parsed)
            passes.journal.note(note, num_chunks, state)
            if num_stories == limit:
                break
        passes.journal.note(note, num_chunks, state, done=True)
    if num_stories == 0:
        raise InputError(f"{source.name} holds no stories: what there is, is empty")
    if len(kept) == num_chunks and not passes.journal.keeps:
        source = KeptSource(source.name, source.size, tuple(kept))
    if num_stories == limit:
        source = CutSource(source, num_chunks, take)
    return _Count(
        source,
        num_stories,
        num_bytes,
        least,
        greatest,
        FileSource(source.name, (StoryFile(path, "json", source.name),)),
    )


def _line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def _without_duplicates(plan: Plan, rate: int | None, passes: Passes, test_rate: int | None = None) -> Plan:
    """The plan with `tune` kept clear of validation, `test` of both, and `train` of all. `test_rate`: that of the test
    stories, which may be a share of any size; so that tune is the same with them and without, it has its own."""
    splits = dict(plan.splits)
    validation = _index("validation", splits["validation"], rate, passes)
    splits["tune"] = _kept_clear(splits["tune"], (validation,))
    tune = _index("tune", splits["tune"], rate, passes)
    held_out: tuple[str, ...] = (validation, tune)
    if "test" in splits:
        splits["test"] = _kept_clear(splits["test"], held_out)
        held_out = (*held_out, _index("test", splits["test"], test_rate, passes))
    splits["train"] = _kept_clear(splits["train"], held_out)
    return replace(plan, splits=splits)


def _index(name: str, part: SplitPlan, rate: int | None, passes: Passes) -> str:
    """Write the index of a held-out split; return its folder."""
    folder = passes.work / f"held-out-{name}"
    if passes.journal.at(note := f"index-{name}").done:
        return str(folder)
    shutil.rmtree(folder, ignore_errors=True)  # of a call that was killed here
    chunks = list(passes.over(f"fingerprints of {name}", Fingerprint(part.selection, rate), part.source))
    firsts = np.cumsum([0, *(len(chunk.keys) for chunk in chunks)])
    keys = np.concatenate([np.zeros(0, np.uint64), *(chunk.keys for chunk in chunks)])
    hashes = np.concatenate([np.zeros(0, np.uint64), *(chunk.shingles for chunk in chunks)])
    owners = [chunk.owners + first for chunk, first in zip(chunks, firsts, strict=False)]
    HeldOut.build(keys, hashes, np.concatenate([np.zeros(0, np.int64), *owners]), rate or 1).save(folder)
    passes.journal.note(note, len(chunks), dict, done=True)
    return str(folder)


def _kept_clear(part: SplitPlan, held_out: tuple[str, ...]) -> SplitPlan:
    return replace(part, selection=replace(part.selection, held_out=held_out))
