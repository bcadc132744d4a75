"""The losses of five recipes stay what they were: to the last bit on the machine that kept them, to 1e-4 elsewhere."""

import json
from pathlib import Path

import pytest
import torch
from tests.train.golden import FILE, RECIPES, STEPS, THREADS, losses, machine, prepared_stories

KEPT = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_stories(tmp_path_factory.mktemp("golden") / "data")


FEW = 6
"""Steps after which whatever a change did to a step has come into the loss; all of them are left to the slow tests, for
they take a minute of the processor."""


@pytest.mark.parametrize("steps", [FEW, pytest.param(STEPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RECIPES)
def test_the_first_losses_of_a_recipe_stay_what_they_were(name: str, steps: int, data: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        found = losses(name, data, steps)
    finally:
        torch.set_num_threads(before)
    if machine() == KEPT["machine"]:
        assert found == KEPT["losses"][name][:steps]
    assert found == pytest.approx(KEPT["losses"][name][:steps], rel=1e-4)
