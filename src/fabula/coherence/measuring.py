"""Every measure of every text, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fabula.coherence.consistency.model import Consistency
from fabula.coherence.consistency.of_data import fitted_on, kept
from fabula.coherence.consistency.shipped import shipped
from fabula.coherence.measures.known import TrainingStories
from fabula.coherence.measures.repetition import shared_groups
from fabula.coherence.measures.story import Measures, measures_of
from fabula.coherence.stories import Told
from fabula.data.dataset import Dataset
from fabula.record.text.words import words

MEASURES = {
    "words": "words",
    "ended": "1: it came to its end by itself; 0: it was cut off",
    "ends_sentence": "1: it stops behind a whole sentence; of a text that was cut off nothing is said",
    "repeated_groups": "of the groups of four words, the share that had come before",
    "repeated_sentences": "of the sentences, the share that had come before, word for word",
    "looped_words": "the share of the text that is one stretch said again and again in a row",
    "distinct_pairs": "of the pairs of neighbouring words of the first 100, the share that is different (distinct-2)",
    "shared_groups": "of the groups of four among the first 50 words, the share that a text of another prompt has too",
    "copied_run": "the most tokens in a row that stand in a training story; below 8: 0",
    "copied_groups": "of the groups of eight tokens, the share that stands in a training story",
    "broken_words": "the share of words that are none by their letters alone",
    "unknown_words": "the share of words that no training story holds",
    "rare_words": "of the different words, the share that fewer than 1 % of the training stories hold",
    "word_letters": "mean letters of a word",
    "sentence_words": "mean words of a sentence",
    "speech_share": "of the words, the share that is spoken",
    "closed_quotes": "1: each paragraph closes the quotation marks that it opens; 0: one does not",
    "speeches_with_speaker": "of the speeches, the share with a verb of saying beside it or beside the one before",
    "prompt_returns": "of the prompt's names, animals and things, the share that comes back; a formula names none",
    "names_return": "of the prompt's names, the share that comes back",
    "consistency": "how likely the story is whole, and not damaged in one of the three ways below (prompt included)",
    "order": "ln of how much likelier it is in its own order than with its sentences in disorder",
    "halves": "ln of how much likelier its end is its own than another story's",
    "pronouns": "ln of how much likelier its he and she are right than exchanged",
}
"""What each measure is. Those of copying, unknown and rare words need the training stories."""


@dataclass(frozen=True)
class Against:
    """What texts are held against: the training stories, where they are at hand, and what holds together."""

    known: TrainingStories | None
    consistency: Consistency

    def measured(
        self, texts: Sequence[Told], ended: Sequence[bool | None], owners: Sequence[int], sets: Sequence[object]
    ) -> list[Measures]:
        """The measures of each text. `owners`: the number of its prompt. `sets`: texts that are held against each other
        for what they share, one of each prompt."""
        said = [each.continuation for each in texts]
        shares = self.known.shares if self.known else None
        found = [
            {**measures_of(text, each.prompt, end, shares), **self.consistency.measures(each.whole)}
            for each, text, end in zip(texts, said, ended, strict=True)
        ]
        for one in dict.fromkeys(sets):
            places = [place for place, of in enumerate(sets) if of == one]
            shared = shared_groups([words(said[place]) for place in places], [owners[place] for place in places])
            for place, value in zip(places, shared, strict=True):
                found[place]["shared_groups"] = value
        for measures, copied in zip(found, self.known.copied(said) if self.known else (), strict=False):
            measures.update(copied)
        return [{name: each.get(name) for name in MEASURES} for each in found]


def hold_against(data: Dataset | None, fit: bool = False, told: Callable[[str], None] = lambda _: None) -> Against:
    """With `fit`, what holds together is learned from the data; else what is kept beside it, or what TinyStories
    taught."""
    known = TrainingStories(data) if data else None
    if data is None:
        return Against(known, shipped())
    return Against(known, fitted_on(data, told) if fit else kept(data) or shipped())
