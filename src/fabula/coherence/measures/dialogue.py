"""Speech: whether its quotation marks are closed, and whether somebody says it."""

import re

from fabula.coherence.measures.sentences import SAID, straight
from fabula.record.text.words import words

SPEECH = re.compile(r'"([^"]*)"')
NEAR = 8
"""Words before and behind a speech in which its verb is looked for."""


def speech_share(text: str) -> float | None:
    """Of the words, the share that stands between quotation marks."""
    said = words(text)
    spoken = [word for found in SPEECH.finditer(straight(text)) for word in words(found[1])]
    return len(spoken) / len(said) if said else None


def closed_quotes(text: str, ended: bool) -> float | None:
    """1 where each paragraph closes the quotation marks that it opens, else 0; None without any.

    Of a text that was cut off, the last paragraph may be open.
    """
    paragraphs = [each for each in straight(text).split("\n") if each.strip()]
    counts = [each.count('"') for each in (paragraphs if ended else paragraphs[:-1])]
    return float(all(count % 2 == 0 for count in counts)) if any(counts) else None


def speeches_with_speaker(text: str) -> float | None:
    """Of the speeches, the share with a verb of saying close by or right behind another speech; None without any."""
    plain = straight(text)
    found = list(SPEECH.finditer(plain))
    if not found:
        return None
    with_one = 0
    for place, each in enumerate(found):
        start = found[place - 1].end() if place else 0
        stop = found[place + 1].start() if place + 1 < len(found) else len(plain)
        around = [*words(plain[start : each.start()])[-NEAR:], *words(plain[each.end() : stop])[:NEAR]]
        with_one += not SAID.isdisjoint(around)
    return with_one / len(found)
