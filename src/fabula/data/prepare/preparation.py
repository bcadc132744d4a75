"""From a source to a prepared folder: plan the splits, get the tokenizer, encode, write. Whole or absent."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fabula
from fabula.data.checksums import checksum
from fabula.data.dataset import (
    SPLITS,
    Manifest,
    Removed,
    SplitFacts,
    SplitName,
    Tokenization,
    read_manifest,
    read_tokenizations,
    token_dtype,
    tokenization_folder,
)
from fabula.data.prepare.bpe_training import train_tokenizer
from fabula.data.prepare.compact import compact_tokenizer
from fabula.data.prepare.journal import COMPLETE, WHOLE, Journal, kept_work
from fabula.data.prepare.parallel import ordered_workers
from fabula.data.prepare.passes import Passes, ProgressDisplay, Silence
from fabula.data.prepare.splits import GRAMMAR_STORIES, Plan, plan_files, plan_grammar
from fabula.data.prepare.tasks import Encode, TokenizerFile
from fabula.data.prepare.writing import SplitWriter
from fabula.data.stories.chunks import StoryFile
from fabula.data.stories.finding import STDIN, Asked, SourceFiles, check_asked, find_source
from fabula.data.stories.formats.kinds import suffix_of
from fabula.data.stories.separators.cutting import check_split_on
from fabula.data.stories.sources import BUILTIN, GRAMMAR, FileSource
from fabula.data.tokenizers.gpt2 import gpt2_tokenizer
from fabula.data.tokenizers.tokenizer import COMPACT, Tokenizer, check_tokenizer_name, load_tokenizer, tokenizer_size
from fabula.errors import InputError
from fabula.record.files import (
    complete_folder,
    content_hash,
    make_folder,
    sha256_of,
    whole_folder,
    write_json,
    write_text,
)
from fabula.record.lock import only_writer

COMPRESSION = 4  # gzip and parquet hold about so many times their size in text
RECORDED = "recorded"
BYTES_A_SECOND = 12e6  # of one core, reading and encoding; decides only whether processes are worth it
LONG_SECONDS = 60.0
"""Of one core's work, from which on a preparation that is killed goes on where it was: 0.7 GB of text."""
STORIES_A_SECOND = 2_000  # of one core, made by the grammar


@dataclass(frozen=True)
class PreparationSummary:
    """What a preparation made."""

    folder: Path
    manifest: Manifest
    tokenization: Tokenization
    seconds: float
    added: bool
    """Whether the folder was there, with another tokenization of the same stories."""


def prepare(
    source: str,
    out: Path | None = None,
    *,
    tokenizer: str,
    validation: str | None = None,
    limit: int | None = None,
    split_on: str | None = None,
    text_key: str | None = None,
    test: float | None = None,
    progress: ProgressDisplay | None = None,
) -> PreparationSummary:
    """Read the stories of `source`, split and tokenize them, and write the folder `out`.

    `source` is `builtin`, a file, a folder, `-`, or a data set id; `out` is `default_folder(source)` where it is not
    given; `tokenizer` is bpe:N, gpt2, gpt2-compact or a file; `validation` is a source or a fraction; `limit` takes
    the first stories only; `split_on` is what separates the stories of a plain text (found out where it is None), and
    `text_key` the key or column of the story in other files; `test` sets a fraction of the stories aside, sealed, none
    where it is not given. Where `out` is a prepared folder of the same stories, the tokenization is added to it.
    Raises InputError, and leaves nothing behind, for anything wrong with these.
    """
    started = time.monotonic()
    out = default_folder(source) if out is None else Path(out)
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: give 1 or more stories, or leave it out")
    if test is not None and not 0 < test <= 0.5:
        raise InputError(f"--test {test:g}: a fraction lies above 0 and is at most 0.5")
    check_tokenizer_name(tokenizer)
    if split_on is not None:
        check_split_on(split_on)
    asked = Asked(split_on, text_key)
    builtin = source in (BUILTIN, GRAMMAR)
    if builtin and asked != Asked():
        raise InputError(f"--split-on and --text-key are for stories in files, and {source} has none; leave them out")
    with only_writer(out), TemporaryDirectory(prefix="fabula-") as temporary, ExitStack() as held:
        files = None if builtin else find_source(source, Path(temporary), asked)
        held_out = _validation(validation, Path(temporary), asked, files)
        if files is not None:
            check_asked(asked, files, held_out)
        fixed = _fixed_tokenizer(tokenizer)
        before = _existing(out, fixed.name if fixed else tokenizer)
        test = _same_test(before, test, out)
        read = {
            "source": GRAMMAR if files is None else files.train.name,
            "limit": limit,
            "separated": files.separated.separator.words() if files is not None and files.separated else None,
            "split_on": split_on,
            "text_key": text_key,
            "validation": validation,
            "test": test,
        }
        work, journal = Path(temporary), Journal(None)
        if _is_long(files, held_out, limit, Path(temporary)):
            call = {
                **read,
                "tokenizer": tokenizer,
                "files": _fingerprint(files, held_out),
                "fabula": fabula.__version__,
            }
            work = held.enter_context(kept_work(out, call))
            journal = Journal(work)
        with ordered_workers(_seconds(files, limit)) as run:
            passes = Passes(run, progress or Silence(), work, journal)
            plan = (
                plan_grammar(limit, held_out, passes, test)
                if files is None
                else plan_files(files, limit, held_out, passes, test)
            )
            chosen = fixed or _tokenizer_of_the_text(tokenizer, plan, passes)
            if before is not None:
                tokenization = _add(out, before, plan, chosen, passes)
                return PreparationSummary(out, before, tokenization, time.monotonic() - started, added=True)
            manifest, tokenization = _create(out, read, plan, chosen, passes)
    return PreparationSummary(out, manifest, tokenization, time.monotonic() - started, added=False)


def _same_test(before: Manifest | None, test: float | None, out: Path) -> float | None:
    """The share of test stories: another tokenization of a folder has the same."""
    if before is None or test == before.test:
        return test
    if test is not None:
        has = "no test stories" if before.test is None else f"test stories by --test {before.test:g}"
        raise InputError(f"{out} has {has}; leave --test out to add a tokenization, or give another --out")
    return before.test


def default_folder(source: str) -> Path:
    """Where the stories of `source` go unless one says otherwise: `data/` and the name of the source."""
    if source in (BUILTIN, GRAMMAR):
        return Path("data", BUILTIN)
    path = Path(source)
    name = path.resolve().name if path.is_dir() else path.name
    if source in STDIN or source.startswith("/dev/"):
        name = "stories"
    suffix = suffix_of(Path(name))
    if suffix is not None and not path.is_dir():
        name = name[: name.lower().rindex(suffix)]
    name = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in name).strip(".-") or "stories"
    folder = Path("data", name)
    return folder.with_name(f"{name}-prepared") if path.is_dir() and folder.resolve() == path.resolve() else folder


def _validation(given: str | None, work: Path, asked: Asked, training: SourceFiles | None) -> FileSource | float | None:
    """`--validation` as a fraction or a source, which is read as the stories to train on are."""
    if given is None:
        return None
    try:
        share = float(given)
    except ValueError:
        files = find_source(given, work, asked, training.rule if training is not None else None)
        return files.train if files.validation is None else files.validation
    if not 0 < share <= 0.5:
        raise InputError(f"--validation {given}: a fraction lies above 0 and is at most 0.5")
    return share


def _existing(out: Path, tokenizer: str) -> Manifest | None:
    """The manifest of the prepared folder `out`, None where it is absent or empty. Raises InputError otherwise."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / "manifest.json").is_file():
        raise InputError(f"{out} exists and is not a prepared folder; give another --out")
    manifest = read_manifest(out)
    if tokenizer in [tokenization.name for tokenization in read_tokenizations(out)]:
        raise InputError(f"{out} exists and is tokenized with {tokenizer}; train on it, or give another --out")
    return manifest


def _fixed_tokenizer(name: str) -> Tokenizer | None:
    """The tokenizer of that name if it is there before the text is read; None for one that is made from the text."""
    if name == "gpt2":
        return gpt2_tokenizer()
    if name == COMPACT:
        gpt2_tokenizer()  # its absence is said before the text is read
        return None
    return None if tokenizer_size(name) is not None else load_tokenizer(Path(name))


def _tokenizer_of_the_text(name: str, plan: Plan, passes: Passes) -> Tokenizer:
    return compact_tokenizer(plan, passes) if name == COMPACT else train_tokenizer(name, plan, passes)


def _is_long(files: SourceFiles | None, held_out: FileSource | float | None, limit: int | None, once: Path) -> bool:
    """Whether the preparation takes so long that it is worth going on with, and can be: what came through a pipe, and
    lies in the folder `once`, is gone with this call."""
    paths = [file.path for file in _files(files, held_out)]
    return _seconds(files, limit) >= LONG_SECONDS and not any(path.is_relative_to(once) for path in paths)


def _files(files: SourceFiles | None, held_out: FileSource | float | None) -> list[StoryFile]:
    parts = [files.train, files.validation] if files is not None else []
    return [file for part in [*parts, held_out] if isinstance(part, FileSource) for file in part.files]


def _fingerprint(files: SourceFiles | None, held_out: FileSource | float | None) -> str:
    """Of the names, sizes and times of all files."""
    stats = ((file, file.path.stat()) for file in _files(files, held_out))
    return content_hash({"files": [[file.name, stat.st_size, stat.st_mtime_ns] for file, stat in stats]})


def _seconds(files: SourceFiles | None, limit: int | None) -> float:
    """About how long one core needs."""
    if files is None:
        return (limit or GRAMMAR_STORIES) / STORIES_A_SECOND
    packed = (".gz", ".parquet")
    return (
        sum(file.path.stat().st_size * (COMPRESSION if file.path.suffix in packed else 1) for file in files.train.files)
        / BYTES_A_SECOND
    )


def _create(
    out: Path, read: dict[str, Any], plan: Plan, tokenizer: Tokenizer, passes: Passes
) -> tuple[Manifest, Tokenization]:
    """A new folder. `read` holds what the manifest says of how the stories were read."""
    if out.exists():
        out.rmdir()  # empty, as `_existing` saw
    gpt2_lengths = _gpt2_lengths()
    with _becoming(out, passes) as folder:
        (folder / "texts").mkdir(exist_ok=True)
        tokens = tokenization_folder(folder, tokenizer.name)
        tokens.mkdir(parents=True, exist_ok=True)
        encoding = _Encoding(plan, tokenizer, passes, with_gpt2_lengths=gpt2_lengths == RECORDED)
        tokenization = encoding.write(tokens, folder / "texts", number=1)
        if encoding.facts["train"].num_stories == 0:
            raise plan.nothing_left()
        if "test" in encoding.facts and encoding.facts["test"].num_stories == 0:
            raise InputError(f"--test {read['test']:g} sets no story aside, of so few; give a larger fraction")
        manifest = Manifest(
            **read,
            validation_rule=plan.validation_rule,
            tune_rule=plan.tune_rule,
            test_rule=plan.test_rule,
            duplicate_rule=plan.duplicate_rule,
            removed=encoding.removed,
            splits=encoding.facts,
            gpt2_lengths=gpt2_lengths,
            sha256=encoding.sha256,
        )
        _write_checked(folder / "manifest.json", manifest)
    return manifest, tokenization


def _add(out: Path, before: Manifest, plan: Plan, tokenizer: Tokenizer, passes: Passes) -> Tokenization:
    number = max((tokenization.number for tokenization in read_tokenizations(out)), default=0) + 1
    with _becoming(tokenization_folder(out, tokenizer.name), passes) as tokens:
        encoding = _Encoding(plan, tokenizer, passes, with_gpt2_lengths=False)
        tokenization = encoding.write(tokens, None, number)
        for name in before.splits:
            if encoding.facts[name].text_hash != before.splits[name].text_hash:
                raise InputError(
                    f"{out} holds other stories ({name}: {before.splits[name].num_stories} from {before.source}, "
                    f"here {encoding.facts[name].num_stories}); give another --out"
                )
    return tokenization


@contextmanager
def _becoming(path: Path, passes: Passes) -> Iterator[Path]:
    """A folder that becomes `path` when all went well: in a long preparation with what an earlier call left in it."""
    if not passes.journal.keeps:
        with whole_folder(path) as folder:
            yield folder
        return
    folder = passes.work / WHOLE
    folder.mkdir(exist_ok=True)
    yield folder
    make_folder(path.parent)
    write_text(passes.work / COMPLETE, "")
    complete_folder(folder, path)


def _write_checked(path: Path, document: Manifest | Tokenization) -> None:
    """With its own checksum."""
    fields = document.model_dump()
    write_json(path, {**fields, "checksum": checksum(fields)})


def _gpt2_lengths() -> str:
    """RECORDED, or why GPT-2 token counts cannot be."""
    try:
        gpt2_tokenizer()
    except InputError as error:
        return f"not recorded: {error}"
    return RECORDED


class _Encoding:
    """One tokenization of a plan's splits."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer, passes: Passes, with_gpt2_lengths: bool) -> None:
        self.plan = plan
        self.tokenizer = tokenizer
        self.passes = passes
        self.with_gpt2_lengths = with_gpt2_lengths
        self.facts: dict[SplitName, SplitFacts] = {}
        self.sha256: dict[str, str] = {}
        """Of the stories' own arrays."""
        self.removed = Removed()

    def write(self, tokens: Path, texts: Path | None, number: int) -> Tokenization:
        """Write the arrays of all splits, the tokenizer and its facts."""
        dtype = token_dtype(self.tokenizer.vocabulary)
        num_tokens: dict[SplitName, int] = {}
        sha256: dict[str, str] = {}
        removed: dict[SplitName, list[int]] = {}
        num_empty = 0
        for name in (*SPLITS, *(name for name in self.plan.splits if name not in SPLITS)):
            part = self.plan.splits[name]
            gpt2 = self.with_gpt2_lengths and name != "train"
            task = Encode(part.selection, self._file(), dtype, gpt2)
            journal, note = self.passes.journal, f"tokenizing-{name}"
            place = journal.at(note)
            with SplitWriter(name, tokens, texts, gpt2, self.passes.work, place.state) as writer:
                pieces = [] if place.done else self.passes.over(f"tokenizing {name}", task, part.source, place.chunks)
                seen = place.chunks
                for seen, piece in enumerate(pieces, start=place.chunks + 1):
                    writer.add(piece)
                    journal.note(note, seen, writer.state)
                if not place.done:
                    journal.note(note, seen, writer.state, done=True)
            self.facts[name] = writer.facts()
            self.sha256 |= writer.sha256(texts=True)
            sha256 |= writer.sha256(texts=False)
            num_tokens[name] = writer.num_tokens
            removed[name] = writer.removed
            num_empty += writer.num_empty
        like_validation, like_tune, *like_test = removed["train"] or [0, 0]
        self.removed = Removed(
            empty=num_empty,
            train_like_validation=like_validation,
            train_like_tune=like_tune,
            tune_like_validation=sum(removed["tune"]),
            like_test=sum(like_test) + sum(removed.get("test", [])),
        )
        write_text(tokens / "tokenizer.json", self.tokenizer.to_json())
        sha256["tokenizer.json"] = sha256_of(tokens / "tokenizer.json")
        tokenization = Tokenization(
            name=self.tokenizer.name,
            number=number,
            vocabulary=self.tokenizer.vocabulary,
            eot=self.tokenizer.eot,
            hash=self.tokenizer.hash,
            dtype=dtype,
            num_tokens=num_tokens,
            sha256=sha256,
        )
        _write_checked(tokens / "tokenization.json", tokenization)
        return tokenization

    def _file(self) -> TokenizerFile:
        if self.tokenizer.name == "gpt2":
            return TokenizerFile("gpt2", None)
        path = self.passes.work / "tokenizer.json"
        write_text(path, self.tokenizer.to_json())
        return TokenizerFile(self.tokenizer.name, str(path))
