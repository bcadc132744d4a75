"""Writes the parts of grammar.md that come from the grammar itself: the example, and the numbers.

python docs/grammar_page.py
"""

from __future__ import annotations

import re
import textwrap
from math import exp, log
from pathlib import Path

from fabula.grammar import generate, stories

PAGE = Path(__file__).with_name("grammar.md")
NUM_STORIES = 10_000


def example() -> str:
    """The first story of the series 0, as a quotation."""
    story = generate(0, 0)
    quoted = textwrap.fill(story.text, 118, initial_indent="> ", subsequent_indent="> ")
    return f"{quoted}\n\nlog p = {story.log_probability:.2f} nats, {len(story.text.split())} words."


def numbers() -> str:
    """What the first stories of the series 0 are like."""
    told = list(stories(0, 0, NUM_STORIES))
    words = [story.text.split() for story in told]
    num_words = sum(map(len, words))
    entropy = -sum(story.log_probability for story in told) / NUM_STORIES
    bits_per_word = entropy / log(2) / (num_words / NUM_STORIES)
    lengths = sorted(map(len, words))
    vocabulary = {word for story in told for word in re.findall(r"[a-z]+(?:'[a-z]+)?", story.text.lower())}
    lines = [
        f"Over the first {NUM_STORIES:,} stories of the series 0:",
        "",
        f"- {lengths[0]} to {lengths[-1]} words, {lengths[NUM_STORIES // 2]} in the middle;",
        f"- {len(vocabulary):,} different words;",
        f"- {len({story.text for story in told}):,} different stories;",
        f"- the mean of -log p is {entropy:.1f} nats a story, {bits_per_word:.2f} bits a word;",
        f"  a distribution of this entropy has at least {exp(entropy):.0e} outcomes.",
    ]
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, text in (("example", example()), ("numbers", numbers())):
        begin, end = f"<!-- {name}: written by grammar_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + text + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
