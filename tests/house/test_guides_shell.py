"""What the guides tell people to type works: page by page, a page's command lines one after the other."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.loops import course
from tests.house.shell import shell_lines, shortened
from tests.train.test_own import MODEL

import fabula

DOCS = Path(__file__).resolve().parents[2] / "docs"
TINY = {
    "tokenizer": "bpe:300", "steps": 4, "batch.rows": 2, "model.layers": 1, "model.heads": 1, "model.width": 32,
    "checkpoint.every": 2, "checkpoint.keep": 9, "evaluation.sample_tokens": 0, "compute.compile": "off",
}  # fmt: skip
BASIC = " ".join(f"--set {name}={value}" for name, value in TINY.items())
MODERN = f"modern-portable {BASIC} --set model.kv_heads=1"
LADDER = f"""tiers = ["modern-portable"]
set = {{ {", ".join(f'"{name}" = {json.dumps(value)}' for name, value in TINY.items())}, "model.kv_heads" = 1 }}
phases = [{{ name = "start", change = "the recipe as it is", set = {{}} }},
          {{ name = "gentle", change = "half the learning rate", set = {{ "schedule.peak" = 0.005 }} }}]
"""
SHORTER: dict[str, dict[str, str]] = {
    "coherence": {
        "evaluate runs/first": "evaluate runs/first --tokens 8 --samples 1",
        " --samples 10": "",
    },
    "data": {"--limit 2000": "--limit 60 --tokenizer bpe:300"},
    "export": {
        "train gemma3-nano": f"train {MODERN}",
        "@200": "@2",
        "@2000": "@4",
    },
    "generation": {"runs/first": "runs/first --max-tokens 9", "generate": "generate --max-tokens 9"},
    "record": {},
    "trackers": {
        "fabula train": f"fabula train {MODERN}",
        "ladder classic": "ladder small.toml",
        " --follow": "",
    },
    "train": {
        "prepare builtin": "prepare builtin --limit 60 --tokenizer bpe:300",
        "train --dry-run": f"train {MODERN} --dry-run",
        "train modern-portable": f"train {MODERN}",
    },
    "your-model": {
        "train basic": f"train basic {BASIC}",
        " --steps 500": "",
        "evaluate runs/mine": "evaluate runs/mine --tokens 8 --samples 1",
    },
    "your-text": {
        "bpe:2048": "bpe:300",
        "train --data data/mine": f"train {MODERN} --data data/mine",
        " --minutes 10": "",
    },
}
"""Of each page that is run what is typed instead, so that it takes seconds: all that the test changes in its lines."""
ELSEWHERE = {
    "judge": ("coherence/judge", "asks a model for money; there against servers that misbehave"),
    "ladders": ("ladder", "minutes a ladder; README's two are in test_readme.py"),
    "plan": ("api/test_plan.py", "half an hour each; there with times and machines that are given"),
    "play": ("play", "serves until it is stopped; its own page's server is in test_code_blocks.py"),
    "scale": ("train/processes", "several processes"),
}
"""Pages whose commands are run by other tests: which, and why."""
NOT_HERE = re.compile(
    r"^(npm|ollama|llama-completion|NODE_LLAMA_CPP=|python benchmarks/|fabula play"
    r"|fabula push (?!.*--dry-run)|fabula ladder nanogpt|fabula train$)"
)
"""What other programs do, serves, publishes, or takes minutes."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guides take for granted: stories, trained runs, texts, a log of another loop."""
    place = tmp_path_factory.mktemp("guides")
    fabula.prepare("builtin", place / "data" / "builtin", tokenizer="bpe:300", limit=60)
    typed(f"fabula train {MODERN} --out runs/first", place)
    return place


def typed(line: str, place: Path) -> None:
    """In a shell, to which no line may be wrong. HOME is as empty as the folder was."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "HOME": str(place), "WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["bash", "-ec", line], cwd=place, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"


def write(place: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")


def recorded(folder: Path, seed: int, lower: float = 0.0) -> None:
    """What a loop of the guide's reader wrote."""
    with fabula.Record(folder) as record:
        for each in course("nothing", seed):
            record.train(each.step, each.loss, grad_norm=each.grad_norm)
            if each.val_loss:
                record.evaluate(each.step, val_loss=each.val_loss - lower)


def of_a_page(page: str, given: Path, place: Path) -> None:
    """What its reader has before the first line."""
    if page not in ("train", "data"):
        (place / "data").mkdir()
        (place / "data" / "builtin").symlink_to(given / "data" / "builtin")
        shutil.copytree(given / "runs", place / "runs")
    if page == "coherence":
        write(place, {"mine.txt": "One day\nA fox\n", "any.jsonl": '{"text": "A fox ran. It slept. It woke."}\n'})
    if page == "record":
        recorded(place / "runs" / "mine", seed=0)
        for seed in range(3):
            recorded(place / "runs" / f"base-{seed}", seed=seed + 1)
            recorded(place / "runs" / f"wider-{seed}", seed=seed + 4, lower=0.3)
    if page == "trackers":
        write(place, {"small.toml": LADDER})
    if page == "your-model":
        text = (DOCS / "your-model.md").read_text(encoding="utf-8")
        functions = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        write(place, {"model.py": MODEL, "mine.py": "\n".join(functions)})
    if page == "your-text":
        texts = {f"my-texts/{at}.txt": f"Der Mond {at} schien hell. Es war {at * 7} Uhr.\n" for at in range(40)}
        write(place, texts)


@pytest.mark.slow
@pytest.mark.parametrize("page", SHORTER)
def test_the_lines_of(page: str, given: Path, tmp_path: Path) -> None:
    of_a_page(page, given, tmp_path)
    lines = [line for line in shell_lines(DOCS / f"{page}.md") if not NOT_HERE.match(line)]
    for line in shortened(lines, SHORTER[page]):
        typed(line, tmp_path)


def test_the_lines_of_every_guide_are_run_somewhere() -> None:
    with_lines = {page.stem for page in DOCS.glob("*.md") if shell_lines(page)}
    assert with_lines == SHORTER.keys() | ELSEWHERE.keys()
    assert all((DOCS.parent / "tests" / where).exists() for where, _ in ELSEWHERE.values())
