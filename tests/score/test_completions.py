"""Completions of fixed prompts."""

from pathlib import Path

from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model
from fabula.score.completions import complete_prompts
from fabula.text.prepared import open_prepared


def test_completions_are_the_same_for_a_seed_and_fit_the_context(grammar_folder: Path) -> None:
    tokenizer = open_prepared(grammar_folder).tokenizer
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
