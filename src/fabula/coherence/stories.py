"""Stories as texts: of prepared data, and of a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.data.dataset import Dataset, SplitName
from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.files import refuse_pointer

TEXT_KEYS = ("text", "story", "completion", "continuation")
HOW = 'write one object a line, as {"text": "Once upon a time ..."}, where it is known also with "prompt"'


@dataclass(frozen=True)
class Told:
    """A text, and the prompt that it follows, where there is one."""

    text: str
    prompt: str = ""

    @property
    def whole(self) -> str:
        """Prompt and text; a text that begins with its prompt is whole already."""
        if not self.prompt or self.text.startswith(self.prompt):
            return self.text
        between = "" if self.text[:1].isspace() or self.prompt[-1:].isspace() or self.text[:1] in ".,!?;:'" else " "
        return self.prompt + between + self.text

    @property
    def continuation(self) -> str:
        """What follows the prompt."""
        return self.text[len(self.prompt) :] if self.prompt and self.text.startswith(self.prompt) else self.text


def texts_of(data: Dataset, split: SplitName, most: int) -> list[str]:
    """At most so many stories of a split, chosen by the hashes of their texts: the same whatever the tokenizer."""
    stories = data.split(split)
    chosen = stories.story_hashes.argsort(kind="stable")[:most]
    return [data.tokenizer.decode(stories.story(int(index))) for index in chosen]


def read_stories(path: Path) -> list[Told]:
    """The stories of a file of JSON lines, in their order. Raises InputError for a line that holds none."""
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file; {HOW}")
    try:
        refuse_pointer(path, content := path.read_bytes())
        lines = content.decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); {HOW}") from None
    found = [_story(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise InputError(f"{path} holds no story; {HOW}")
    return found


def _story(path: Path, number: int, line: str) -> Told:
    try:
        value: Any = json_value(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not valid JSON ({error}); {HOW}") from None
    if isinstance(value, str):
        value = {"text": value}
    fields = value if isinstance(value, dict) else {}
    text = next((fields[key] for key in TEXT_KEYS if isinstance(fields.get(key), str)), None)
    prompt = fields.get("prompt") or ""
    if text is None or not isinstance(prompt, str):
        raise InputError(f"{path}, line {number}: no story; {HOW}")
    return Told(text, prompt)
