"""The two portable recipes, trained on stories, exported both ways, and asked for the same text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.homes import OWN_AND_REAL, SHARED

from fabula.data.dataset import open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.scaling import with_steps
from fabula.train.life.run import set_up_training, start_run
from fabula.train.observer import Observer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gemma3-nano", "llama-nano"])
@pytest.mark.parametrize("home", OWN_AND_REAL)
def test_greedy_text_is_the_same_everywhere(name: str, home: str, repo: Path, tmp_path: Path) -> None:
    recipe = with_steps(load_recipe(name), 150)
    source, tokenizer = str(SHARED / "data" / "tinystories"), recipe.tokenizer
    if home == "own":  # the built-in stories have too few words for a large vocabulary
        source, tokenizer = "grammar", "bpe:1024"
        recipe = recipe.with_values(tokenizer=tokenizer)
    prepare(source, tmp_path / "data", tokenizer=tokenizer, limit=4000)
    training = set_up_training(recipe, open_dataset(tmp_path / "data", recipe.tokenizer), 0, Observer())
    assert start_run(training, tmp_path / "run") == "finished"

    command = [sys.executable, str(repo / "benchmarks" / "elsewhere.py"), str(tmp_path / "run")]
    if node := os.environ.get("NODE_LLAMA_CPP"):
        command += ["--llama-cpp", node]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (result,) = json.loads(answer.stdout)["results"]
    assert result["transformers"]["same_texts"] == result["prompts"] == 4
    assert result["transformers"]["logits_difference"] < 1e-4 and result["read_back_difference"] < 1e-5
    if node:
        assert result["llama.cpp"]["same_next_token"] == result["llama.cpp"]["clear_positions"] > 200
