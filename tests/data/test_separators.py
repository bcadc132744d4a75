"""What separates the stories of a plain text: found out, said, and cut so that nothing is lost."""

import random
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabula.data.stories.chunks import StoryFile
from fabula.data.stories.finding import Asked, find_source
from fabula.data.stories.formats import opening
from fabula.data.stories.reading import parse, read_file
from fabula.data.stories.separators.cutting import (
    EOT,
    LINE,
    Separator,
    blank_lines,
    check_split_on,
    end_of_piece,
    literal,
    long_text,
)
from fabula.data.stories.separators.detection import detect
from fabula.errors import InputError
from fabula.grammar import stories as grammar_stories

STORIES = [story.text for story in grammar_stories(0, 0, 60)]
SENTENCES = [sentence for story in STORIES for sentence in re.split(r"(?<=[.!?]) ", story)]


def paragraphs(num: int, seed: int = 0) -> list[str]:
    """As in a novel: half a page beside a line of dialogue."""
    generator = random.Random(seed)
    return [" ".join(generator.sample(SENTENCES, generator.choice((1, 1, 2, 4, 8, 15)))) for _ in range(num)]


POEM = """Twinkle, twinkle, little star,
How I wonder what you are!
Up above the world so high,
Like a diamond in the sky.

When the blazing sun is gone,
When he nothing shines upon,
Then you show your little light,
Twinkle, twinkle, all the night.

Then the traveller in the dark
Thanks you for your tiny spark;
He could not see which way to go,
If you did not twinkle so.
"""
BOOK = "\n\n".join(textwrap.fill(paragraph, 70) for paragraph in paragraphs(120))
PLAY = "\n\n".join(f"{random.Random(i).choice(('ALICE', 'BOB'))}:\n{each}" for i, each in enumerate(paragraphs(120)))
SENTENCE_A_LINE = [re.sub(r"(?<=[.!?]) ", "\n", story) for story in STORIES]
WITH_PARAGRAPHS = [story.replace(". ", ".\n\n", 3) for story in STORIES]
SHORT = [f"Once there was a fox number {i}. It ran over {3 * i} hills and slept." for i in range(40)]

TEXTS: dict[str, tuple[str, str | None]] = {
    "stories between blank lines": ("\n\n".join(STORIES), "blank"),
    "short stories between blank lines": ("\n\n".join(SHORT), "blank"),
    "between blank lines with spaces in them": ("\n \t\n".join(STORIES), "blank"),
    "a sentence a line, blank lines between stories": ("\n\n".join(SENTENCE_A_LINE), "blank"),
    "a title over each story": ("\n\n".join(f"The Fox {i}\n{each}" for i, each in enumerate(STORIES)), "blank"),
    "three stories": ("a story\n\nanother one\n\nthe third one\n", "blank"),
    "some blank lines too many": (
        "".join(s + "\n\n\n"[: 2 + (i in (5, 17, 30))] for i, s in enumerate(SHORT)),
        "blank",
    ),
    "paragraphs within, two blank lines between": ("\n\n\n".join(WITH_PARAGRAPHS), "blank:2"),
    "poems with two blank lines between": ((POEM + "\n\n") * 5, "blank:2"),
    "wrapped stories with two blank lines between": ("\n\n\n".join(textwrap.fill(s, 70) for s in STORIES), "blank:2"),
    "a story a line": ("\n".join(STORIES), "line"),
    "a story a line, a blank line here and there": (
        "".join(story + ("\n\n" if i in (7, 30) else "\n") for i, story in enumerate(STORIES)),
        "line",
    ),
    "names": ("\n".join(random.Random(0).choices(["Emma", "Olivia", "Jo", "Isabella"], k=500)), "line"),
    "lines of stars": ("\n* * *\n".join(STORIES), "* * *"),
    "lines of #": ("\n\n###\n\n".join(WITH_PARAGRAPHS), "###"),
    "a book of wrapped lines": (BOOK, None),
    "a wrapped book without blank lines": (BOOK.replace("\n\n", "\n    "), None),
    "a book with a paragraph a line": ("\n\n".join(paragraphs(120)), None),
    "chapters": ("\n\n\n\n".join(f"CHAPTER {i}\n\n\n{BOOK}" for i in range(5)), None),
    "a book with scene breaks": ("\n\n* * *\n\n".join([BOOK] * 4), None),
    "a play": (PLAY, None),
    "one poem": (POEM, None),
    "a poem without stanzas": (POEM.replace("\n\n", "\n"), None),
    "one line": (STORIES[0], None),
    "nothing": ("", None),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_separates_the_stories(case: str) -> None:
    text, expected = TEXTS[case]
    found = detect(text)
    assert (found.name if found else None) == expected


def read(path: Path, separator: Separator) -> list[str]:
    chunks = read_file(StoryFile(path, "txt", path.name, separator=separator))
    return [text for chunk in chunks for text in parse(chunk).texts]


SIGNS = st.sampled_from(["a", "b.", " ", "\n", "\n\n", "\t", "é", "—", "***", "*", "#", "x\n***\n", "<|endoftext|>"])


@given(
    text=st.lists(SIGNS, max_size=60).map("".join),
    separator=st.sampled_from(
        [EOT, LINE, blank_lines(), blank_lines(2), literal("***", True), literal("***", False), literal("#", False)]
    ),
    block=st.integers(1, 40),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_stories_do_not_depend_on_the_blocks(
    text: str, separator: Separator, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no letter is lost or told twice."""
    path = tmp_path / "s.txt"
    path.write_text(text, encoding="utf-8", newline="")
    whole = read(path, separator)
    assert separator.pattern is not None
    between = "".join(re.split(separator.pattern, text))
    assert "".join("".join(whole).split()) == "".join(between.split())
    monkeypatch.setattr(opening, "BLOCK_BYTES", block)
    assert read(path, separator) == whole


@given(
    text=st.lists(st.sampled_from(["a", "word ", "b. ", "\n", "\n\n", "é", "—", "字", "。"]), max_size=200).map(
        "".join
    ),
    most=st.integers(8, 60),
    block=st.integers(1, 90),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_pieces_of_a_long_text_hold_all_of_it(
    text: str, most: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.txt"
    path.write_text(text, encoding="utf-8", newline="")
    separator = Separator("none", None, piece_bytes=most)
    pieces = read(path, separator)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(len(piece.encode()) <= most for piece in pieces)
    monkeypatch.setattr(opening, "BLOCK_BYTES", block)
    assert read(path, separator) == pieces


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("one. two three\n\nfour\nfive six seven", "one. two three\n\n"),
        ("one two three four\nfive six. seven", "one two three four\n"),
        ("one two three four. five six seven", "one two three four. "),
        ("one two three four five six seven", "one two three four five "),
        ("一二三四五六七八九十一二三四五六七", "一二三四五六七八"),
        ("short", "short"),
    ],
)
def test_a_piece_ends_at_the_best_border(text: str, end: str) -> None:
    assert text.encode()[: end_of_piece(text.encode(), 26)].decode() == end


def test_pieces_are_smaller_where_the_text_is_short() -> None:
    assert [long_text(size).piece_bytes for size in (100, 40_000, 10**9)] == [500, 2_000, 4_000]


def found(path: Path, split_on: str | None = None) -> tuple[list[str], str | None]:
    """The stories of a source, and what is said of how they were found."""
    source = find_source(str(path), path.parent, Asked(split_on))
    texts = [text for chunk in source.train.chunks() for text in parse(chunk).texts]
    assert source.separated is not None
    return texts, source.separated.notice(len(texts))


def test_what_was_found_is_said(tmp_path: Path) -> None:
    path = tmp_path / "my.txt"
    path.write_text("\n\n".join(STORIES), encoding="utf-8")
    texts, told = found(path)
    assert texts == STORIES
    assert told is not None
    assert re.search(
        r"my\.txt: no <\|endoftext\|>; 60 stories, separated by blank lines\. .*--split-on line, none", told
    )
    path.write_text(BOOK, encoding="utf-8")
    texts, told = found(path)
    assert len(texts) > 15 and told is not None
    assert f"one long text, cut at paragraphs into {len(texts)} pieces of at most " in told
    path.write_text("\n<|endoftext|>\n".join(STORIES), encoding="utf-8")
    assert found(path) == (STORIES, None)


@pytest.mark.parametrize(
    ("text", "split_on", "expected"),
    [
        ("a\n\nb\nc\n", "blank", ["a", "b\nc"]),
        ("a\n\nb\n\n\nc", "blank:2", ["a\n\nb", "c"]),
        ("a\n\nb\nc\n", "line", ["a", "b", "c"]),
        ("a<|endoftext|>b", "eot", ["a", "b"]),
        ("a<|endoftext|>b\nc", "line", ["a<|endoftext|>b", "c"]),
        ("one--two\n--\nthree", "--", ["one--two", "three"]),
        ("one--two--three", "--", ["one", "two", "three"]),
        ("one\n***\ntwo\n*****\nthree", "***", ["one", "two\n*****\nthree"]),
        ("one\n\n\ntwo\n\nthree", r"\n\n\n", ["one", "two\n\nthree"]),
    ],
)
def test_split_on(text: str, split_on: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text(text, encoding="utf-8")
    texts, told = found(path, split_on)
    assert texts == expected
    assert told is not None and "read it otherwise" not in told


def test_one_file_without_any_separator_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("\n\n".join(STORIES), encoding="utf-8")
    texts, _ = found(path, "none")
    assert len(texts) > 10 and "".join("".join(texts).split()) == "".join("".join(STORIES).split())


@pytest.mark.parametrize(
    ("split_on", "message"),
    [
        ("###", r"s\.txt: no '###' in it; give what stands between the stories, or one of eot, blank, line, none"),
        ("blanks", r'no \'blanks\' in it; did you mean "blank"\?'),
        ("eot", r"no <\|endoftext\|> in it"),
    ],
)
def test_a_separator_that_is_not_there(split_on: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("\n\n".join(SHORT), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        find_source(str(path), tmp_path, Asked(split_on))


@pytest.mark.parametrize("split_on", ["", " ", "\t "])
def test_a_separator_that_separates_nothing(split_on: str) -> None:
    with pytest.raises(InputError, match="--split-on"):
        check_split_on(split_on)


def test_a_folder_of_files_has_a_story_a_file_however_many_paragraphs(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, story in enumerate(WITH_PARAGRAPHS):
        (folder / f"{number:02}.txt").write_text(story, encoding="utf-8")
    texts, told = found(folder)
    assert texts == WITH_PARAGRAPHS
    assert told is not None
    assert "no <|endoftext|> in 60 of 60 text files; 60 stories, one in each file" in told
    (folder / "60.txt").write_text(BOOK * 3, encoding="utf-8")
    texts, _ = found(folder)
    assert texts[:60] == WITH_PARAGRAPHS and len(texts) > 80  # a long one is cut


def test_validation_files_are_read_like_those_to_train_on(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.txt").write_text("\n\n".join(SENTENCE_A_LINE), encoding="utf-8")
    (folder / "valid.txt").write_text("\n\n".join(SENTENCE_A_LINE[:2]), encoding="utf-8")
    source = find_source(str(folder), tmp_path, Asked())
    assert source.validation is not None
    assert [text for chunk in source.validation.chunks() for text in parse(chunk).texts] == SENTENCE_A_LINE[:2]
