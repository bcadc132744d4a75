"""Groups of real runs that other programs logged, compared from their logs alone.

python benchmarks/foreign_groups.py --work FOLDER [--out docs/measured/foreign_groups.json]

A Hugging Face Trainer (its output folders) and a plain loop (its printed lines) train tiny models on the built-in
stories: a base, a change that helps (ten times the learning rate, which is too low in the base), and one that does
nothing (it logs more often). `fabula compare` is asked as a script asks it: where it wants more seeds, they are made,
and the second look decides.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from breaking import CONTEXT, NUM_EVALUATIONS, ROWS, Setting, make_stories, multiplier, train_trainer, windows
from plain_loop import PlainGPT

from fabula.data.dataset import open_dataset

AT_FIRST, LOOKS = 3, 2
BASE = Setting("trainer", "gpt", "grammar", 200, 3e-4, "cosine", 0.1, 32, 0, log_every=20)
CHANGES = {
    "helps": ("ten times the learning rate", replace(BASE, rate=3e-3)),
    "nothing": ("logs more often", replace(BASE, log_every=10)),
}
SEEDS_APART = 100
"""Groups share no seed, as runs of other programs need not."""
Train = Callable[[Setting, dict[str, Path], Path], None]


def plain_loop(setting: Setting, stories: dict[str, Path], out: Path) -> None:
    """The lines that such a loop prints, as a file."""
    data = open_dataset(stories[setting.stories])
    train = torch.from_numpy(windows(data, "train", setting.steps * ROWS + 1))
    held = torch.from_numpy(windows(data, "validation", 96)[:96])
    torch.manual_seed(setting.seed)
    model = PlainGPT(2, setting.width, 4, CONTEXT, data.tokenizer.vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.rate, betas=(0.9, 0.95), weight_decay=0.1)
    share, lines = multiplier(setting, ""), []
    for step in range(1, setting.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = setting.rate * share(step)
        rows = train[torch.randint(len(train), (ROWS,))]
        loss = model(rows[:, :-1], rows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % setting.log_every == 0:
            lines.append(f"step {step} | loss {float(loss.detach()):.4f} | lr {setting.rate * share(step):.2e}")
        if step % (setting.steps // NUM_EVALUATIONS) == 0:
            with torch.no_grad():
                lines.append(f"step {step} | val loss {float(model(held[:, :-1], held[:, 1:])):.4f}")
    out.with_suffix(".log").write_text("\n".join(lines) + "\n", encoding="utf-8")


TOOLS: dict[str, Train] = {
    "Trainer": lambda setting, stories, out: train_trainer(setting, "", stories, out),
    "plain loop": plain_loop,
}


def make(train: Train, setting: Setting, stories: dict[str, Path], group: Path, number: int, first: int) -> None:
    """`number` more runs of a group."""
    group.mkdir(parents=True, exist_ok=True)
    there = len(list(group.iterdir()))
    for seed in range(there, there + number):
        train(replace(setting, seed=first + seed), stories, group / f"seed-{seed}")


def asked(base: Path, new: Path, look: int) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of the command."""
    arguments = [f"base={base}/*", f"new={new}/*", "--look", f"{look}/{LOOKS}", "--json"]
    told = subprocess.run([sys.executable, "-m", "fabula", "compare", *arguments], capture_output=True, text=True)
    if not told.stdout:
        raise SystemExit(told.stderr)
    return told.returncode, json.loads(told.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stories = make_stories(arguments.work / "stories", None)
    record = []
    for tool, train in TOOLS.items():
        folder = arguments.work / tool.replace(" ", "-")
        make(train, BASE, stories, folder / "base", AT_FIRST, 0)
        for place, (change, (words, setting)) in enumerate(CHANGES.items(), start=1):
            make(train, setting, stories, folder / change, AT_FIRST, SEEDS_APART * place)
            for look in range(1, LOOKS + 1):
                code, told = asked(folder / "base", folder / change, look)
                (group,) = told["groups"]
                record.append({
                    "tool": tool, "change": words, "does": change, "look": look, "exit_code": code,
                    "base": len(told["base"]["runs"]), "new": len(group["runs"]),
                    **{name: group[name] for name in ("decision", "difference", "interval", "p", "seeds_wanted")},
                    "rule": told["rule"]["sentence"],
                })  # fmt: skip
                print(json.dumps(record[-1]), flush=True)
                if told["decision"] != "more_seeds":
                    break
                make(train, BASE, stories, folder / "base", group["seeds_wanted"]["base"], 0)
                make(train, setting, stories, folder / change, group["seeds_wanted"]["new"], SEEDS_APART * place)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
