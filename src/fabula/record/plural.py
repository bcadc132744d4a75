"""Numbers with their word: one thread, two threads."""


def plural(number: int, word: str, words: str = "") -> str:
    """`1 step`, `1,000 steps`; `words` where an s does not make the plural."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {words or word + 's'}"
