"""A model and an optimizer of the user's own: nanoGPT's interface, as its users have it, and what can be wrong."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch
from tests.train.tiny import StopAfter, data_in, metrics, same_tensors, tensors, tiny, tiny_file

from fabula.cli import run
from fabula.errors import InputError
from fabula.model.load import load_model
from fabula.model.own import OwnModel, sources
from fabula.recipe.schema import Recipe
from fabula.train import engine as engine_module
from fabula.train.engine import build_engine
from fabula.train.life.run import resume_run, set_up_training, start_run
from fabula.train.machine.choice import Choice
from fabula.train.observer import Observer

MODEL = """
from dataclasses import dataclass
import torch
import torch.nn as nn
from torch.nn import functional as F

@dataclass
class GPTConfig:
    block_size: int = 1024
    vocab_size: int = 50304
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.proj = nn.Linear(config.n_embd, config.n_embd)
        self.heads = config.n_head

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (e.view(B, T, self.heads, -1).transpose(1, 2) for e in self.attn(self.ln_1(x)).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.proj(y.transpose(1, 2).reshape(B, T, C))

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(config.vocab_size, config.n_embd), wpe=nn.Embedding(config.block_size, config.n_embd),
            h=nn.ModuleList([Block(config) for _ in range(config.n_layer)]), ln_f=nn.LayerNorm(config.n_embd)))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight  # tied

    def forward(self, idx, targets=None):
        x = self.transformer.wte(idx) + self.transformer.wpe(torch.arange(idx.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        if targets is not None:
            logits = self.lm_head(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        else:
            logits, loss = self.lm_head(x[:, [-1], :]), None
        return logits, loss
"""
MINE = """
import functools
import torch
from model_of_somebody import GPT, GPTConfig

def nanogpt(recipe, vocabulary):
    shape = recipe.model
    return GPT(GPTConfig(block_size=shape.context, vocab_size=vocabulary, n_layer=shape.layers, n_head=shape.heads,
                         n_embd=shape.width, bias=False))

def only_logits(recipe, vocabulary):
    return torch.nn.Sequential(torch.nn.Embedding(vocabulary, 8), torch.nn.Linear(8, vocabulary))

def sgd(model, settings, learning_rate):
    return torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=settings.momentum)

def of_the_last_place(recipe, vocabulary):
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = only_logits(recipe, vocabulary)
        def forward(self, tokens):
            return self.inner(tokens)[:, -1:]
    return Last()

def sawtooth(step, num_steps, recipe):
    return 0.002 if step % 2 == 0 else 0.001

class Zeros:
    def __init__(self, data, recipe, seed):
        self.rows = torch.zeros(recipe.batch.rows, recipe.model.context, dtype=torch.int64)

    def batch(self, number, micro_step):
        return self.rows, self.rows

def nothing(*_):
    return None

def dropping(recipe, vocabulary):
    return torch.nn.Sequential(torch.nn.Embedding(vocabulary, 8), torch.nn.Dropout(0.5), torch.nn.Dropout(0.5),
                               torch.nn.Linear(8, vocabulary))

class Builder:
    def __call__(self, recipe, vocabulary):
        return only_logits(recipe, vocabulary)

by_partial = functools.partial(nothing, 1)
by_partial_of_partial = functools.partial(functools.partial(nothing, 1), 2)
by_object = Builder()
decorated = functools.lru_cache(only_logits)
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's two files, in the current folder."""
    (tmp_path / "model_of_somebody.py").write_text(MODEL)
    (tmp_path / "mine_of_somebody.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("model_of_somebody", "mine_of_somebody"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def own(**values: object) -> Recipe:
    return tiny(**{"own__model": "mine_of_somebody:nanogpt", **values})


def test_nanogpt_as_it_is_trains_and_is_measured_by_the_same_ruler(grammar_folder: Path, tmp_path: Path) -> None:
    data = data_in(grammar_folder)
    training = set_up_training(own(), data, 0, Observer())
    assert start_run(training, tmp_path / "run") == "finished"
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["own"]["model"]["name"] == "mine_of_somebody:nanogpt" and len(info["own"]["model"]["sha256"]) == 64
    assert info["parameters"]["total"] == sum(each.numel() for each in training.engine.model.parameters())
    assert 0 < info["parameters"]["without_embeddings"] < info["parameters"]["total"]
    theirs = [line for line in metrics(tmp_path / "run") if line["kind"] == "eval"]
    assert theirs[-1]["val_loss"] < theirs[0]["val_loss"] - 0.2
    start_run(set_up_training(tiny(), data, 0, Observer()), tmp_path / "ours")
    ours = json.loads((tmp_path / "ours" / "run.json").read_text())
    assert ours["rulers"] == info["rulers"] and "own" not in ours
    assert run(["report", "run", "ours", "--out", "page.html"]) == 0 and run(["diagnose", "run"]) == 0


def test_it_goes_on_where_it_was_stopped(grammar_folder: Path, tmp_path: Path) -> None:
    data = data_in(grammar_folder)
    start_run(set_up_training(own(), data, 3, Observer()), tmp_path / "whole")
    start_run(set_up_training(own(), data, 3, StopAfter(6)), tmp_path / "stopped")
    resume_run(set_up_training(own(), data, 3, Observer()), tmp_path / "stopped")
    assert metrics(tmp_path / "whole", events=False) == metrics(tmp_path / "stopped", events=False)
    assert same_tensors(tensors(tmp_path / "whole"), tensors(tmp_path / "stopped"))
    other = set_up_training(own(), data, 4, Observer()).engine.model.state_dict()
    again = set_up_training(own(), data, 4, Observer()).engine.model.state_dict()
    assert same_tensors(dict(other), dict(again))


def test_a_module_that_makes_logits_and_an_optimizer_of_one_s_own(grammar_folder: Path, tmp_path: Path) -> None:
    recipe = own(own__model="mine_of_somebody:only_logits", own__optimizer="mine_of_somebody:sgd", schedule__peak=0.1)
    training = set_up_training(recipe, data_in(grammar_folder), 0, Observer())
    assert isinstance(training.engine.optimizer, torch.optim.SGD)
    assert start_run(training, tmp_path / "run") == "finished"
    rates = [line["learning_rate"] for line in metrics(tmp_path / "run") if line["kind"] == "train"]
    assert training.engine.optimizer.param_groups[0]["lr"] == pytest.approx(rates[-1]) and rates[2] == 0.1
    assert run(["train", "--data", str(grammar_folder), "--out", "run", "--resume"]) == 0


def test_it_stands_on_a_ladder_against_ours(grammar_folder: Path, tmp_path: Path) -> None:
    Path("small.toml").write_text(
        f'name = "small"\ntiers = ["{tiny_file(tmp_path, steps=3)}"]\nseeds = 1\n'
        '[[phases]]\nname = "ours"\nchange = "fabula\'s own"\nset = {}\n'
        '[[phases]]\nname = "nanogpt"\nchange = "theirs"\nset = { "own.model" = "mine_of_somebody:nanogpt" }\n'
        '[[phases]]\nname = "rows"\nchange = "rows of zeros"\nset = { "own.batches" = "mine_of_somebody:Zeros" }\n'
        '[[phases]]\nname = "saw"\nchange = "a sawtooth"\nset = { "own.schedule" = "mine_of_somebody:sawtooth" }\n'
    )
    assert run(["ladder", "small.toml", "--data", str(grammar_folder), "--out", "ladder"]) == 0
    page = Path("ladder/report.md").read_text()
    assert "nanogpt" in page and "a sawtooth" in page and "rows of zeros" in page
    lines = metrics(Path("ladder/runs/tiny/saw/seed-0"))
    assert [line["learning_rate"] for line in lines if line["kind"] == "train"] == [0.001, 0.002, 0.001]


def test_what_reads_a_run_folder_runs_none_of_its_code(grammar_folder: Path, tmp_path: Path) -> None:
    start_run(set_up_training(own(steps=2), data_in(grammar_folder), 0, Observer()), tmp_path / "run")
    (tmp_path / "mine_of_somebody.py").write_text("raise SystemExit('this code was run')")
    del sys.modules["mine_of_somebody"]
    with pytest.raises(InputError, match=r"none is run because a folder names it; .* with --trust"):
        load_model(tmp_path / "run")
    for command in (["generate", "run"], ["export", "run", "--to", "hf"]):
        assert run(command) == 2
    assert run(["diagnose", "run"]) == 0 and "mine_of_somebody" not in sys.modules


WRONG = {
    "own.model: the module nowhere_at_all cannot be imported": {"own__model": "nowhere_at_all:model"},
    "has no function missing": {"own__model": "mine_of_somebody:missing"},
    "returns NoneType, not a torch.nn.Module": {"own__model": "mine_of_somebody:nothing"},
    "returns NoneType, not a torch.optim.Optimizer": {"own__optimizer": "mine_of_somebody:nothing"},
    r"makes logits \(4, 1, 512\); they have to be": {"own__model": "mine_of_somebody:of_the_last_place"},
    "optimizer.kind=muon asks for the inside": {"optimizer__kind": "muon"},
    "batch.hidden_tokens=0.1 asks for the inside": {"batch__hidden_tokens": 0.1},
    "record.internals=5 asks for the inside": {"record__internals": 5},
    "own.model: write it as module:function, such as mine:build; got 'os.system'": {"own__model": "os.system"},
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_one_sentence(said: str, grammar_folder: Path) -> None:
    with pytest.raises(InputError, match=said):
        set_up_training(own(**WRONG[said]), data_in(grammar_folder), 0, Observer())


class Asked(torch.nn.Module):
    """Says how its forward was called."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(16, 16)

    def logits(self, tokens: torch.Tensor, *told: object) -> torch.Tensor:
        self.told = ["none" if each is None else "given" for each in told]
        return self.table(tokens)


class Keywords(Asked):
    def forward(self, tokens, **kwargs):
        return self.logits(tokens, *kwargs.values())


class KeywordOnly(Asked):
    def forward(self, tokens, *, targets=None):
        return self.logits(tokens, targets)


class Between(Asked):
    def forward(self, idx, pos=None, targets=None):
        return self.logits(idx, pos, targets)


class Needed(Asked):
    def forward(self, x, y):
        return self.logits(x, y)


class NeededBetween(Asked):
    def forward(self, tokens, more, targets=None):
        return self.logits(tokens, more, targets)


class ByPlace(Asked):
    def forward(self, tokens, targets=None, /):
        return self.logits(tokens, targets)


class Any(Asked):
    def forward(self, *args, mask=None):
        return self.logits(args[0], *args[1:], mask)


class Needs(Asked):
    def forward(self, tokens, targets, *args, **kwargs):
        return self.logits(tokens, targets, *args)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Keywords, []),
        (KeywordOnly, ["given"]),
        (Between, ["none", "given"]),
        (Needed, ["given"]),
        (NeededBetween, ["given", "none"]),
        (ByPlace, ["given"]),
        (Any, ["none"]),
        (Needs, ["given"]),
    ],
)
def test_targets_reach_a_forward_as_it_takes_them(model: type[Asked], told: list[str]) -> None:
    inner = model()
    made = OwnModel(inner, tiny().model, 16, torch.float32)
    assert made(torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, 16)
    assert inner.told == told


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_is_measured_without_dropout_and_trained_with_it(compiled: bool, grammar_folder: Path) -> None:
    engine = set_up_training(own(own__model="mine_of_somebody:dropping"), data_in(grammar_folder), 0, Observer()).engine
    engine.set_losses(compiled)
    frozen = engine.model.inner[2].eval()  # as users have it of a part
    rows = torch.arange(2 * 8).view(2, 8)
    assert torch.equal(engine.token_losses(rows, rows), engine.token_losses(rows, rows))
    assert engine.loss_sum(rows, rows) != engine.loss_sum(rows, rows)
    assert engine.model.training and not frozen.training


def test_an_optimizer_of_one_s_own_is_asked_by_the_host(grammar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SGD of torch that is not fused would take a NaN that the device decided to leave out."""
    monkeypatch.setattr(engine_module, "choose_updates", lambda device: Choice("device", "for the test"))
    monkeypatch.setattr(engine_module, "choose_graph", lambda device, accumulation: Choice("on", "for the test"))
    recipe = own(own__model="mine_of_somebody:only_logits", own__optimizer="mine_of_somebody:sgd")
    engine = build_engine(recipe, 512, 0)
    assert [engine.choices[name].value for name in ("updates", "graph")] == ["host", "off"]
    assert engine.device_step is None and engine.steps_ahead == 0


def test_weights_for_our_model_are_not_put_into_theirs(
    grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", tiny_file(tmp_path), "--data", str(grammar_folder), "--init-from", "somewhere"]
    assert run([*command, "--set", "own.model=mine_of_somebody:nanogpt"]) == 2
    assert "have its function read weights" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["by_partial", "by_object", "by_partial_of_partial", "decorated", "only_logits"])
def test_whatever_can_be_called_has_its_file_on_record(name: str, tmp_path: Path) -> None:
    told = sources(own(own__model=f"mine_of_somebody:{name}"))["model"]
    assert told["sha256"] == hashlib.sha256((tmp_path / "mine_of_somebody.py").read_bytes()).hexdigest()
