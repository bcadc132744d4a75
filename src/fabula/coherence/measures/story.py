"""All measures of one completion, by name."""

from fabula.record.words import words

Measures = dict[str, float | None]


def measures_of(prompt: str, text: str, ended: bool) -> Measures:
    """Of the completion `text` of `prompt`; `ended`: it was not cut off. None where a measure has nothing to say."""
    return {"words": len(words(text)), "ended": float(ended)}
