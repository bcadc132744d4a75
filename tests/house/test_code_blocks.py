"""Every block of Python in the README and the guides is run: page by page, a page's blocks one after the other."""

import os
import re
import shutil
import socket
import subprocess
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.api.loops import course
from tests.train.test_own import MODEL

import fabula
from fabula.grammar import generate

os.environ.setdefault("KERAS_BACKEND", "torch")  # read once, when keras is imported

REPO = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = {
    str(page.relative_to(REPO)): blocks
    for page in (REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md")))
    if (blocks := BLOCK.findall(page.read_text(encoding="utf-8")))
}
ELSEWHERE = {"docs/ladders.md": "ladder/test_searches.py", "docs/referee.md": "study/test_referee_guide.py"}
"""Pages whose block is a program of its own, and the test that runs it."""
TINY = {
    "tokenizer": "bpe:300", "batch.rows": 2, "model.layers": 1, "model.width": 32, "model.heads": 1,
    "model.kv_heads": 1, "evaluation.sample_tokens": 0, "compute.compile": "off",
}  # fmt: skip
SHORTER = {
    '"builtin", "data/builtin"': '"builtin", "data/builtin", tokenizer="bpe:300", limit=40',
    "minutes=3": "steps=3, set=TINY",
    '"http://127.0.0.1:8321/v1"': 'f"http://127.0.0.1:{PORT}/v1"',
    "Trainer(max_epochs=2, logger": "Trainer(**QUIET, max_epochs=2, logger",
}
"""What is run instead, so that it takes seconds: all that the test changes in the blocks."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the guides take for granted: a trained run, a log, groups of logs."""
    folder = tmp_path_factory.mktemp("guides")
    data = fabula.prepare("builtin", folder / "given" / "data", tokenizer="bpe:300", limit=40)
    fabula.train("modern-portable", data=data.folder, out=folder / "given" / "run", steps=3, set=TINY)
    (folder / "logs").mkdir()
    logs = {"their-log": 0, **{f"logs/{name}-{seed}": 10 * seed for name in ("old", "wider") for seed in range(3)}}
    for number, (name, seed) in enumerate(logs.items()):
        lines = [f"{each.step},{each.loss},{each.val_loss or ''}" for each in course("nothing", seed + number)]
        (folder / f"{name}.csv").write_text("\n".join(["step,loss,val_loss", *lines]), encoding="utf-8")
    return folder


def nothing(place: Path) -> dict[str, Any]:
    return {}


def of_stories(place: Path) -> dict[str, Any]:
    return {"story": generate(seed=0, index=0).text}


def with_run(name: str, place: Path) -> dict[str, Any]:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).symlink_to(place / "given" / "run")
    return {}


def of_loops(place: Path) -> dict[str, Any]:
    """A loop, a Trainer's parts, a module of Lightning and a model of Keras."""
    from tests.callbacks import test_keras, test_lightning, test_transformers

    moments = {each.step: each for each in course("nothing")}
    trainer = test_transformers.trainer(place, test_transformers.TrainerCallback(), max_steps=4, save_strategy="no")
    return {
        "update": lambda step: (moments[step].loss, moments[step].grad_norm),
        "held_out_loss": lambda: 3.0,
        "model": trainer.model,
        "arguments": trainer.args,
        "rows": trainer.train_dataset,
        "module": test_lightning.Module(),
        "batches": test_lightning.rows(),
        "QUIET": test_lightning.QUIET,
        "keras_model": test_keras.model(),
        "inputs": test_keras.INPUTS,
        "targets": test_keras.TARGETS,
    }


def of_a_server(place: Path) -> dict[str, Any]:
    """What `fabula play runs/first` serves, until the block has ended."""
    shutil.copytree(place / "given" / "run", place / "runs" / "first")  # a model is called as its folder
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fabula", "play", "runs/first", "--port", str(port)]
    server = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    while "in a browser" not in (line := server.stdout.readline()):
        assert line, "the server ended before it answered"

    def end() -> None:
        server.terminate()
        server.communicate(timeout=60)

    return {"PORT": port, "end": end}


def of_a_model(place: Path) -> dict[str, Any]:
    """nanoGPT's model.py, which the guide takes unchanged: a module of the same interface."""
    module = types.ModuleType("model")
    sys.modules["model"] = module  # before it runs: its dataclass looks itself up there
    exec(compile(MODEL, "model.py", "exec"), module.__dict__)  # noqa: S102 - the test's own
    return {"end": lambda: sys.modules.pop("model")}


GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "docs/coherence.md": of_stories,
    "docs/generation.md": partial(with_run, "runs/first"),
    "docs/play.md": of_a_server,
    "docs/report.md": partial(with_run, "ladder"),
    "docs/record.md": of_loops,
    "docs/your-model.md": of_a_model,
}
"""What a page takes for granted beside the files."""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", sorted(PAGES.keys() - ELSEWHERE))
def test_the_blocks_of(
    page: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in place.iterdir():
        (tmp_path / each.name).symlink_to(each)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library")
    names = {"TINY": TINY, **GIVEN.get(page, nothing)(tmp_path)}
    try:
        for number, block in enumerate(PAGES[page], start=1):
            for long, short in SHORTER.items():
                block = block.replace(long, short)
            exec(compile(block, f"{page}, block {number}", "exec"), names)  # noqa: S102
    finally:
        names.get("end", lambda: None)()
    for made in MADE.get(page, ()):
        assert Path(made).exists()


MADE = {
    "docs/python.md": ("runs/first/run.json", "report.html", "report.md"),
    "docs/record.md": ("runs/mine/metrics.discarded.jsonl", "runs/trainer", "runs/lightning", "runs/keras"),
    "docs/report.md": ("paper/index.md", "losses.png"),
}


def test_every_page_is_run_somewhere(repo: Path) -> None:
    assert {"docs/python.md", "docs/record.md"} < PAGES.keys()
    for page, test in ELSEWHERE.items():
        assert page in PAGES and page.split("/")[1] in (repo / "tests" / test).read_text(encoding="utf-8")
    everything = "".join(block for blocks in PAGES.values() for block in blocks)
    assert all(long in everything for long in SHORTER), "SHORTER names what no page says"
