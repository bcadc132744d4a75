"""With the stories at hand: human anchors, copying, distances from human stories, and what holds together in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from tests.coherence.commands import evaluate_command as command
from tests.model.runs import write_run

from fabula.coherence.by_position import loss_by_position
from fabula.coherence.consistency import of_data
from fabula.coherence.consistency.damage import shuffled
from fabula.coherence.measures.known import TrainingStories
from fabula.coherence.prompts.sets import Prompt
from fabula.coherence.stories import texts_of
from fabula.data.dataset import open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model, Recipe


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 stories of the built-in grammar, a quarter of them held out."""
    folder = tmp_path_factory.mktemp("grammar") / "stories"
    prepare("grammar", folder, tokenizer="bpe:512", limit=400, validation="0.25")
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    """A run with random weights that was trained, as it says, on these stories."""
    shape = {"layers": 1, "width": 16, "heads": 2, "context": 64, "vocabulary": 512}
    tree = {"name": "x", "steps": 10, "model": shape, "schedule": {"peak": 1e-3}}
    write_run(tmp_path / "run", Recipe.from_tree(tree))
    tokenizer = open_dataset(folder).tokenizer
    (tmp_path / "run" / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    info = {"status": "finished", "data": {"path": str(folder)}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(info), encoding="utf-8")
    return tmp_path / "run"


@pytest.mark.long
def test_noise_is_far_from_human_stories_and_humans_are_not(run: Path) -> None:
    told = json.loads(command(run, "--samples", 1, "--tokens", 60, "--json")[0])
    sets = {line["prompt_set"] for line in told["completions"]}
    human = [line for line in told["completions"] if line["human"]]
    assert sets == {"fabula", "validation"} and human and all(line["prompt_set"] == "validation" for line in human)
    sides = told["summary"]["validation"]
    assert sides["model"]["interval"][0] > sides["human"]["combined"] > 0
    assert sides["model"]["combined"] > 0.7 > sides["human"]["combined"]
    assert {"copied_run", "rare_words", "consistency"} <= set(sides["model"]["made_of"])
    assert "order" in sides["model"]["measures"] and "order" not in sides["model"]["made_of"]
    assert set(told["summary"]["fabula"]) == {"model"}
    places = told["loss_by_position"]
    assert [(each["from"], each["to"]) for each in places] == [(0, 16), (16, 32), (32, 64)]
    assert places[0]["tokens"] == 16 * len(human) and all(5 < each["nats"] < 8 for each in places)
    out, _ = command(run, "--samples", 1, "--tokens", 20, "--prompts", "validation")
    assert "standard deviations from human stories of the same data" in out and "farthest are:" in out


def test_loss_by_position_is_that_of_the_model(folder: Path) -> None:
    tokenizer = open_dataset(folder).tokenizer
    model = Decoder(Model(layers=1, width=16, heads=2, context=40), tokenizer.vocabulary)
    initialize(model, Initialization(), 0)
    text = texts_of(open_dataset(folder), "validation", 1)[0]
    found = loss_by_position(model, tokenizer, [Prompt(text[:20], text[20:]), Prompt("nobody went on")])
    ids = torch.tensor([tokenizer.eot, *tokenizer.encode(text).tolist()])[:41]
    nats = -torch.log_softmax(model(ids[None, :-1])[0].detach(), -1).gather(1, ids[1:, None])[:, 0]
    assert [each["tokens"] for each in found] == [16, 16, 8]
    for each in found:
        assert each["nats"] == pytest.approx(float(nats[each["from"] : each["to"]].mean()), rel=1e-5)
    assert loss_by_position(model, tokenizer, [Prompt("nobody went on")]) == []


def test_what_was_copied_is_found(folder: Path) -> None:
    data = open_dataset(folder)
    story = texts_of(data, "train", 1)[0]
    own, other = TrainingStories(data).copied([story, "Xylophones quack zigzag; jazzy wolves vex Quito, Baku, Fez!"])
    assert own == {"copied_run": len(data.tokenizer.encode(story)), "copied_groups": 1.0}
    assert other["copied_run"] == 0 and other["copied_groups"] == 0


@pytest.mark.long
def test_what_holds_together_is_learned_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_dataset(folder)
    (folder / of_data.NAME).unlink(missing_ok=True)
    monkeypatch.setattr(of_data, "TEXTS", 30)
    monkeypatch.setattr(of_data, "TUNE", 12)
    with pytest.raises(InputError, match="too few to learn"):
        of_data.fitted_on(data)
    monkeypatch.setattr(of_data, "FEWEST", 20)
    monkeypatch.setattr(of_data, "FEWEST_TUNE", 5)
    whole = texts_of(data, "validation", 20)
    damaged = [shuffled(text, Random(place)) for place, text in enumerate(whole)]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*whole, *damaged]), encoding="utf-8")
    out, err = command("--stories", path, "--data", folder, "--json")
    scores = np.array([story["consistency"] for story in json.loads(out)["stories"]])
    assert (scores[:20] > scores[20:]).mean() >= 0.9 and "learning from 30 stories" in err
    assert (folder / of_data.NAME).is_file()
    again, silent = command("--stories", path, "--data", folder, "--json")
    assert "learning" not in silent and json.loads(again) == json.loads(out)
    assert json.loads(again)["consistency"]["fitted_on"].startswith("data ")
    assert of_data.kept(open_dataset(folder)) is not None
