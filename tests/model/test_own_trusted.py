"""A model of the user's own that tells stories: only where the run is trusted, and then as it was trained."""

import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from tests.train.test_own import MINE, MODEL
from tests.train.tiny import data_in, tiny
from torch.nn.functional import cross_entropy

import fabula
from fabula.api.model import Model
from fabula.cli import run
from fabula.errors import InputError
from fabula.model.decode.generate import complete
from fabula.model.decode.sampling import Sampling
from fabula.model.own import OwnModel
from fabula.play.shelf import Asked, Shelf
from fabula.play.story import Story, Wish, prompt_log_probabilities
from fabula.train.life.run import set_up_training, start_run
from fabula.train.observer import Observer


@pytest.fixture(scope="module")
def trained(grammar_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """A run, and the logits of some tokens as its model has them at its end."""
    folder = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        put_files(folder, patch)
        training = set_up_training(tiny(own__model="mine_of_somebody:nanogpt"), data_in(grammar_folder), 0, Observer())
        start_run(training, folder / "run")
        with torch.inference_mode():
            logits = training.engine.model(torch.arange(8)[None])
    return folder, logits


def put_files(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "model_of_somebody.py").write_text(MODEL)
    (folder / "mine_of_somebody.py").write_text(MINE)
    patch.chdir(folder)
    patch.setattr(sys, "path", list(sys.path))
    for name in ("model_of_somebody", "mine_of_somebody"):
        patch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def theirs(trained: tuple[Path, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    put_files(trained[0], monkeypatch)
    return trained[0] / "run"


@pytest.fixture
def model(theirs: Path) -> Model:
    return fabula.load(theirs, trust=True)


def test_it_is_the_model_that_was_trained(model: Model, trained: tuple[Path, torch.Tensor]) -> None:
    assert isinstance(model.module, OwnModel) and not model.module.training
    assert torch.equal(torch.tensor(model.logits(range(8))), trained[1][0])
    text = "Once upon a time there was a cat."
    tokens = [model.tokenizer.eot, *model.tokenizer.encode(text).tolist(), model.tokenizer.eot]
    logits = torch.tensor(model.logits(tokens[:-1]))
    assert model.score(text).loss == pytest.approx(float(cross_entropy(logits, torch.tensor(tokens[1:]))), rel=1e-5)


def greedy(model: Model, tokens: list[int], number: int) -> list[int]:
    """By hand: the likeliest token behind at most a context, of which the last half stays where it is full."""
    window, told = list(tokens), list[int]()
    for _ in range(number):
        if len(window) > 32:
            window = window[-16:]
        told.append(int(model.logits(window)[-1].argmax()))
        window.append(told[-1])
    return told


def test_its_likeliest_story_goes_on_beyond_the_context(model: Model) -> None:
    start = model.tokens("Once upon a time")
    told = complete(model.module, [start], num_tokens=60, eot=-1, temperature=0, seed=0)
    assert told == [greedy(model, start, 60)]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_a_row_is_told_the_same_beside_others(model: Model, penalty: float) -> None:
    rows = [model.tokens("Once upon a time"), model.tokens("The cat"), model.tokens("")]

    def told(prompts: list[list[int]], number: int) -> list[list[int]]:
        settings = {"temperature": 1.0, "top_p": 0.9, "repetition_penalty": penalty, "seed": 5}
        return complete(model.module, prompts, num_tokens=number, eot=model.tokenizer.eot, **settings)

    together = told(rows, 45)
    assert together[0] == told(rows[:1], 45)[0] and together == told(rows, 45)
    assert [each[:20] for each in together] == told(rows, 20)
    with pytest.raises(InputError, match="the model's context is 32"):
        told([[1] * 33], 2)


def test_generate_wants_to_be_told_to_trust(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(theirs), "--prompt", "Once upon a time", "--max-tokens", "40", "--seed", "3"]
    assert run(command) == 2
    out, err = capsys.readouterr()
    assert "--trust" in err and not out and "mine_of_somebody" not in sys.modules
    assert run([*command, "--trust"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == fabula.load(theirs, trust=True).generate("Once upon a time", max_tokens=40, seed=3).strip()
    assert "not the one that the run was made with" not in err and "fabula export" not in err
    with pytest.raises(InputError, match="trust=True"):
        fabula.load(theirs)


def test_evaluate_completes_prompts_with_it(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.txt").write_text("Once upon a time\nThe cat\n")
    command = ["evaluate", str(theirs), "--prompts", str(tmp_path / "two.txt"), "--samples", "1", "--tokens", "12"]
    assert run(command) == 2 and "--trust" in capsys.readouterr().err
    assert "completion" not in (theirs / "evaluations.jsonl").read_text()
    assert run([*command, "--trust", "--json"]) == 0
    session = json.loads(capsys.readouterr().out)
    assert [0 < each["tokens"] <= 12 for each in session["completions"]] == [True, True]
    assert "completion" in (theirs / "evaluations.jsonl").read_text()


def test_the_page_shows_it(theirs: Path, model: Model) -> None:
    with pytest.raises(InputError, match="--trust"):
        Shelf([Asked("theirs", theirs)])
    shelf = Shelf([Asked("theirs", theirs)], trust=True)
    (shown,) = shelf.models
    wish = Wish(model.tokens("Once"), Sampling(0.8, top_p=0.95), seed=1, num_tokens=10, alternatives=3)
    with torch.inference_mode():
        told = list(Story(shelf.weights(shown, shown.step), shown.tokenizer, wish))
    assert "Once" + "".join(each.text for each in told) == model.generate("Once", max_tokens=10, seed=1)
    assert all(len(each.alternatives) == 3 for each in told)
    first = shelf.weights(shown, 0).model
    assert 0 in shown.checkpoints and first(torch.arange(8)[None]).shape == (1, 8, 512)
    tokens = model.tokens("Once upon")
    assert len(prompt_log_probabilities(model.module, tokens, 2)) == len(tokens) - 1


def test_code_that_is_another_by_now_is_said_or_refused(
    theirs: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    mine = theirs.parent / "mine_of_somebody.py"
    mine.write_text(MINE + "\n# a remark\n")
    with caplog.at_level(logging.WARNING, "fabula"):
        fabula.load(theirs, trust=True)
    said = "the file of mine_of_somebody:nanogpt is not the one that the run was made with"
    assert said in caplog.text
    command = ["generate", str(theirs), "--prompt", "Once", "--max-tokens", "2", "--trust"]
    assert run(command) == 0 and said in " ".join(capsys.readouterr().err.split())
    mine.write_text(MINE.replace("n_embd=shape.width", "n_embd=2 * shape.width"))
    del sys.modules["mine_of_somebody"]
    assert run(command) == 2
    assert "does not fit" in capsys.readouterr().err
    mine.unlink()
    del sys.modules["mine_of_somebody"]
    assert run(command) == 2
    assert "the module mine_of_somebody cannot be imported" in " ".join(capsys.readouterr().err.split())
