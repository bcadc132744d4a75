"""All measures of one story or completion, by name."""

from collections.abc import Mapping

from fabula.coherence.measures import adherence, dialogue, repetition, vocabulary
from fabula.record.text.words import words

Measures = dict[str, float | None]


def measures_of(
    text: str, prompt: str = "", ended: bool | None = None, shares: Mapping[str, float] | None = None
) -> Measures:
    """Of `text`, which follows `prompt`. `ended`: whether it came to its end by itself (None: nobody knows); `shares`:
    word -> share of the training stories that hold it. None where a measure has nothing to say."""
    said = words(text)
    found: Measures = {
        "words": float(len(said)),
        "ended": None if ended is None else float(ended),
        "ends_sentence": adherence.ends_sentence(text) if ended is not False else None,
        "repeated_groups": repetition.repeated_groups(said),
        "repeated_sentences": repetition.repeated_sentences(text),
        "looped_words": repetition.looped_words(said),
        "distinct_pairs": repetition.distinct_pairs(said),
        "broken_words": vocabulary.broken_words(text),
        "word_letters": vocabulary.word_letters(said),
        "sentence_words": vocabulary.sentence_words(text),
        "speech_share": dialogue.speech_share(text),
        "closed_quotes": dialogue.closed_quotes(text, ended is not False),
        "speeches_with_speaker": dialogue.speeches_with_speaker(text),
    }
    if shares is not None:
        found["unknown_words"] = vocabulary.unknown_words(said, shares)
        found["rare_words"] = vocabulary.rare_words(said, shares)
    if prompt:
        found["prompt_returns"] = adherence.prompt_returns(prompt, text, shares)
        found["names_return"] = adherence.names_return(prompt, text)
    return found
