"""A set of beginnings, and where it comes from.

Ours (`fabula.jsonl`) are 44 in the manner of the TinyStories paper (Eldan & Li 2023, appendix): `asks` says what a
good continuation takes. `plot`: something has begun to happen; `cut`: the sentence breaks off; `knowledge`: of the
world; `reasoning`: one thing follows from another; `tracking`: who has what, and where it is.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabula.coherence.prompts.validation import beginning_of
from fabula.data.dataset import Dataset
from fabula.errors import InputError, nearest
from fabula.recipe.schema import ORIGINAL_PROMPTS
from fabula.record.content.parsing import json_value
from fabula.record.files import refuse_pointer

OWN = Path(__file__).with_name("fabula.jsonl")
VALIDATION_STORIES = 44
"""As many as our own prompts, so that neither set outweighs the other."""
KNOWN = ("fabula", "original", "validation")


@dataclass(frozen=True)
class Prompt:
    """How a story begins; `continuation`: how a human's went on, where that is known."""

    text: str
    continuation: str | None = None
    asks: str = ""


@dataclass(frozen=True)
class PromptSet:
    """Beginnings under a name."""

    name: str
    prompts: tuple[Prompt, ...]

    @property
    def hash(self) -> str:
        """sha256 of the beginnings and of their continuations, in their order."""
        said = [[each.text, each.continuation] for each in self.prompts]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def prompt_set(name: str, data: Dataset | None) -> PromptSet:
    """One of KNOWN, or the beginnings in a file. Raises InputError where there is none."""
    if name == "fabula":
        return PromptSet(name, tuple(_of_jsonl(OWN, OWN.read_text(encoding="utf-8"))))
    if name == "original":
        return PromptSet(name, tuple(map(Prompt, ORIGINAL_PROMPTS)))
    if name == "validation":
        if data is None:
            raise InputError("the prompts `validation` are beginnings of validation stories; say where with --data DIR")
        return PromptSet(name, tuple(of_validation(data)))
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"--prompts {name} is neither a file nor a set of prompts{nearest(name, list(KNOWN))}; "
            "a file has one beginning a line, or JSON lines with `prompt`"
        )
    return PromptSet(path.stem, tuple(read_prompts(path)))


def of_validation(data: Dataset, number: int = VALIDATION_STORIES) -> list[Prompt]:
    """Beginnings of validation stories with their true continuations; chosen by the texts' hashes alone."""
    split = data.split("validation")
    found: list[Prompt] = []
    for index in split.story_hashes.argsort(kind="stable"):
        begun = beginning_of(data.tokenizer.decode(split.story(int(index))), len(found))
        if begun is not None:
            found.append(Prompt(begun[0], begun[1], "validation"))
        if len(found) == number:
            break
    return found


def read_prompts(path: Path) -> list[Prompt]:
    """The beginnings in a file: JSON lines with `prompt`, and `continuation` where it is known; else one a line.

    Raises InputError for a file without one, or a line that is not one.
    """
    try:
        refuse_pointer(path, content := path.read_bytes())
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a text of one beginning a line") from None
    if path.suffix in (".jsonl", ".json", ".ndjson") or text.lstrip().startswith("{"):
        found = _of_jsonl(path, text)
    else:
        found = [Prompt(line.strip()) for line in text.splitlines() if line.strip()]
    if not found:
        raise InputError(f"{path} holds no prompt; write one beginning a line")
    return list(dict.fromkeys(found))


def _of_jsonl(path: Path, text: str) -> list[Prompt]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json_value(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not valid JSON ({error}); write one object a line") from None
        if isinstance(value, str):
            value = {"prompt": value}
        fields = [value.get(name) for name in ("prompt", "continuation", "asks")] if isinstance(value, dict) else []
        if not fields or not isinstance(fields[0], str) or not fields[0].strip():
            raise InputError(f'{path}, line {number}: no beginning of a story; write {{"prompt": "..."}}')
        if not all(each is None or isinstance(each, str) for each in fields[1:]):
            raise InputError(f"{path}, line {number}: `continuation` is not a text")
        found.append(Prompt(fields[0].rstrip(), fields[1] or None, fields[2] or ""))
    return found


def unique_names(sets: Sequence[PromptSet]) -> list[PromptSet]:
    """The same sets with names that tell them apart."""
    seen: dict[str, int] = {}
    named = []
    for each in sets:
        seen[each.name] = seen.get(each.name, 0) + 1
        name = each.name if seen[each.name] == 1 else f"{each.name}-{seen[each.name]}"
        named.append(PromptSet(name, each.prompts))
    return named
