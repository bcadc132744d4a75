"""The measures of a text, each by an example that has it and one that has not."""

import numpy as np
import pytest

from fabula.coherence.measures import adherence, dialogue, repetition, vocabulary
from fabula.coherence.measures.copying import copied_shares
from fabula.coherence.measures.people import names_in
from fabula.coherence.measures.sentences import sentences_of
from fabula.coherence.measures.story import measures_of
from fabula.record.text.words import words


def test_sentences_are_told_apart() -> None:
    text = 'Mr. Fox ran. "Stop!" said Ann. “Why?” he asked.\nThe end'
    assert sentences_of(text) == ["Mr. Fox ran.", '"Stop!"', "said Ann.", "“Why?”", "he asked.", "The end"]


def test_repetition() -> None:
    once = "the cat sat on a mat and then it went home to eat some fish"
    assert repetition.repeated_groups(words(once)) == 0.0 and repetition.looped_words(words(once)) == 0.0
    again = words("the big dog ran " * 5)
    assert repetition.repeated_groups(again) == pytest.approx(13 / 17)
    assert repetition.looped_words(again) == 1.0
    assert repetition.repeated_sentences("Tom ran home. Tom ran home! Ann sat down. Oh.") == pytest.approx(1 / 3)
    assert repetition.repeated_groups(["a"]) is None and repetition.repeated_sentences("") is None
    assert repetition.distinct_pairs(["a"] * 99) is None
    assert repetition.distinct_pairs(["a", "b"] * 50) == pytest.approx(2 / 99)


def test_what_texts_of_different_prompts_share() -> None:
    texts = [words("they were happy and they went home"), words("they were happy and tired"), words("no cat in here")]
    assert repetition.shared_groups(texts, [0, 1, 2]) == [pytest.approx(1 / 4), pytest.approx(1 / 2), 0.0]
    assert repetition.shared_groups(texts, [0, 0, 2]) == [0.0, 0.0, 0.0]
    assert repetition.shared_groups([["a"]], [0]) == [None]


def test_copied_groups_are_those_of_the_stories() -> None:
    random = np.random.default_rng(0)
    corpus = random.integers(0, 500, 3_000_000).astype(np.uint16)  # longer than a chunk
    text = [*corpus[2_097_145:2_097_165], *random.integers(500, 600, 20)]
    (share, nothing, short) = copied_shares([text, list(range(500, 520)), [1, 2, 3]], corpus)
    assert share == pytest.approx(13 / 33) and nothing == 0.0 and short is None


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The cat sat.", 0.0),
        ("The caat sssssat xx7 \ufffdq tomRan b.", 5 / 7),
        ("On the 2nd day, Mr. McDonald saw 12 cats at 5pm and a big I.", 0.0),
    ],
)
def test_broken_words(text: str, share: float) -> None:
    assert vocabulary.broken_words(text) == pytest.approx(share)


def test_vocabulary() -> None:
    shares = {"the": 0.9, "cat": 0.1, "axolotl": 0.001}
    said = words("The cat the axolotl blorf")
    assert vocabulary.unknown_words(said, shares) == pytest.approx(1 / 5)
    assert vocabulary.rare_words(said, shares) == pytest.approx(2 / 4)
    assert vocabulary.word_letters(["a", "bcd"]) == 2.0 and vocabulary.sentence_words("A b c. D.") == 2.0
    assert vocabulary.unknown_words([], shares) is None


@pytest.mark.parametrize(
    ("text", "closed", "speaker"),
    [
        ('"Hi," said Tom.', 1.0, 1.0),
        ('"Hi.', 0.0, None),
        ("“Hi,” he asked. “You?”\nAnn ran.", 1.0, 1.0),
        ('The word "no" hung on the wall of the old house by the sea.', 1.0, 0.0),
        ("Nobody spoke.", None, None),
        ('"One,\n"Two," said Ann.', 0.0, 1.0),
    ],
)
def test_dialogue(text: str, closed: float | None, speaker: float | None) -> None:
    assert dialogue.closed_quotes(text, True) == closed
    assert dialogue.speeches_with_speaker(text) == speaker


def test_a_text_that_was_cut_off_may_leave_its_speech_open() -> None:
    assert dialogue.closed_quotes('"Hi," said Tom.\n"What', False) == 1.0
    assert adherence.ends_sentence("Tom ran. He") == 0.0 and adherence.ends_sentence('"Run!"') == 1.0
    cut = measures_of("Tom ran. He", "", ended=False)
    assert cut["ends_sentence"] is None and cut["ended"] == 0.0


def test_names() -> None:
    assert names_in("One day, Lily saw a dog. The dog saw Lily's cat. Run, said Mom.") == {"lily": 2}
    assert "may" not in names_in("In May, they may go.")


@pytest.mark.parametrize(
    "prompt",
    ["Once upon a time, there was a", "One day", "Once upon a time, there was a little girl who liked to play."],
)
def test_a_formula_names_nothing(prompt: str) -> None:
    assert adherence.telling_words(prompt) == [] and adherence.prompt_returns(prompt, "A dog ran.") is None


def test_what_a_prompt_names_comes_back_or_not() -> None:
    prompt = "Once upon a time, a girl named Mara had a red kite. The kite was in a tree."
    assert adherence.telling_words(prompt) == ["mara", "red", "kite", "tree"]
    assert adherence.returned_words(prompt, "The kites flew, and Mara's dog sat under trees.") == [
        "mara",
        "kite",
        "tree",
    ]
    assert adherence.names_return(prompt, "Mara's dog") == 1.0 and adherence.names_return(prompt, "Tom ran") == 0.0
    shares = {"girl": 0.4, "named": 0.6, "red": 0.5, "kite": 0.01}
    assert adherence.telling_words(prompt, shares) == ["mara", "kite", "tree"]
