"""Completions of fixed prompts."""

from pathlib import Path

from fabula.data.dataset import open_dataset
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model
from fabula.record.text.words import TOKEN, words, words_with_starts
from fabula.score.completions import complete_prompts
from fabula.score.known_stories import know_stories, names_in


def test_completions_are_the_same_for_a_seed_and_fit_the_context(grammar_folder: Path) -> None:
    tokenizer = open_dataset(grammar_folder).tokenizer
    model = Decoder(Model(layers=1, width=16, heads=2, context=24), tokenizer.vocabulary)
    initialize(model, Initialization(), 0)
    prompts = ("Once upon a time", "One day")
    first, same, other = (complete_prompts(model, tokenizer, prompts, 100, seed) for seed in (0, 0, 1))
    assert first == same and first != other
    assert [sample["prompt"] for sample in first] == list(prompts)
    for sample in first:
        assert sample["seed"] == 0 and (sample["temperature"], sample["top_p"]) == (0.8, 0.95)
        tokens = tokenizer.encode(f"{sample['prompt']}{sample['completion']}")
        assert sample["completion"] and len(tokens) < 100


def test_a_line_says_what_only_the_data_can_tell(grammar_folder: Path) -> None:
    """A training story is copied as a whole; names and the shares of words are those of the stories."""
    data = open_dataset(grammar_folder)
    known = know_stories(data)
    train = data.split("train")
    ids = max((train.story(index) for index in range(train.num_stories)), key=len).tolist()
    text = data.tokenizer.decode(ids)
    stories = [data.tokenizer.decode(train.story(index)) for index in range(train.num_stories)]
    (line,) = known.fields(["A dragon and a xylophone"], [ids], [text])
    assert (line["tokens"], line["copied_tokens"]) == (len(ids), len(ids))
    assert 0 <= line["validation_copied_tokens"] < len(ids)
    assert line["prompt_words"]["xylophone"] == 0.0
    held = sum("and" in words(story) for story in stories) / len(stories)
    assert abs(line["prompt_words"]["and"] - held) < 1e-4
    assert set(line["names"]) == {name for name in known.names if name in words_of(text)}


def words_of(text: str) -> set[str]:
    return {word for _, word, _ in words_with_starts(TOKEN.findall(text))}


def test_names_are_told_by_how_they_are_written() -> None:
    stories = ["One day, a girl named Lily saw Tom. The sun shone.", 'Then Lily said, "Run, Tom!" A tom ran.'] * 2
    assert names_in(stories) == {"Lily"}, "tom is an animal here, too; The and Run begin sentences"
