"""The sentences of a text, and what is spoken in it."""

import re
from dataclasses import dataclass

CURLY = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "´": "'", "`": "'"})
TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|St)\.", re.IGNORECASE)
BETWEEN = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’])\s+|(?<=[.!?…][\"'”’]{2})\s+|\n+")
SAID = frozenset(
    """said say says asked ask asks replied reply answered answer shouted shout yelled yell whispered whisper cried cry
    called call told tell exclaimed explained laughed smiled thought added began continued agreed screamed sang
    suggested announced begged warned wondered nodded giggled sighed barked roared squeaked chirped growled meowed
    muttered declared responded repeated remarked promised hissed croaked purred""".split()
)
"""Verbs that give a speech its speaker."""


def straight(text: str) -> str:
    """The text with straight quotation marks; two apostrophes are one mark."""
    return text.translate(CURLY).replace("''", '"')


def sentences_of(text: str) -> list[str]:
    """The sentences of a text as they are written, those of a speech one by one."""
    held = TITLE.sub(lambda found: f"{found[1]}\x00", text)
    return [piece.replace("\x00", ".").strip() for piece in BETWEEN.split(held) if piece.strip()]


TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,!?;:\"]")


@dataclass(frozen=True)
class Sentence:
    """Words and marks, as they are written and in lower case."""

    tokens: tuple[str, ...]
    lower: tuple[str, ...]


def parsed(text: str) -> list[Sentence]:
    """The sentences that have a word. White space and the shape of quotation marks are gone: they say nothing."""
    said = []
    for piece in sentences_of(text):
        tokens = tuple(TOKEN.findall(straight(piece)))
        if any(token[0].isalnum() for token in tokens):
            said.append(Sentence(tokens, tuple(token.lower() for token in tokens)))
    return said
