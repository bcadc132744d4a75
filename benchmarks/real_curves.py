"""Real curves with labels: small models that train well, and the same ones broken on purpose.

python benchmarks/real_curves.py --draw 1 --work FOLDER --out docs/measured/real_curves_1.jsonl.gz [--shared ../shared]

Every setting (tool, shape, stories, length, rate, schedule, seed) is drawn, trained once as it is, and once for each
fault that falls to it. The record keeps what the tool wrote, without times and paths, and the labels: which kinds the
curve shows and which it does not, by what was done to it; where that does not decide (did thirty times the rate
diverge?), by raw numbers beside those of the healthy twin, with a gap between yes and no in which a kind is not judged.
No rule is asked: this script imports nothing of fabula.findings. A draw that rules have been changed after is used up.
"""

import argparse
import gzip
import json
import math
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from breaking import ODD_STEPS, RAISED, TOOLS, Setting, make_stories, odd_steps

FAULTS = {
    "rate_x30": "learning rate times 30",
    "rate_x30_unclipped": "learning rate times 30, gradients not clipped",
    "rate_over_1000": "learning rate over 1,000",
    "rate_x100_from_middle": "learning rate times 100 from the middle on",
    "rate_x100_for_a_while": "learning rate times 100 for a quarter of the run",
    "nan_batch": "one batch with a loss of NaN",
    "nan_to_the_end": "losses of NaN from the middle on",
    "odd_batches": f"{ODD_STEPS} batches of random tokens",
    "random_targets": "random targets in every batch",
    "bf16_weights": "weights in bfloat16, N(0, 1) embedding, rate 1e-4",
    "repeated_stories": "a few stories, again and again",
    "sum_not_mean": "loss of the micro-steps added, not averaged",
    "no_warmup": "no warmup",
    "warmup_too_long": "warmup of 45 % of the run",
    "warmup_unreached": "warmup longer than the run",
    "rising": "a floor of five times the peak",
    "micro_steps": "schedule stepped once a micro-step",
    "wide_start": "N(0, 1) weights at the start",
    "clip_tiny": "gradients clipped to 0.01",
    "no_end_of_text": "no end-of-text between stories",
    "too_short": "60 steps",
    "interrupted": "stopped after 60 % of the steps",
    "noisy_evaluations": "evaluations on 32 tokens drawn anew",
    "rate_x100": "learning rate times 100",
    "rate_x100_at_end": "learning rate times 100 in the last fifth",
    "rate_gone_early": "no learning rate after 3 % of the run",
    "shifted_targets": "every token is its own target",
    "ascent": "the sign of the loss is wrong",
    "bad_data_to_the_end": "random tokens from the middle on",
    "decay_huge": "weight decay that takes 30 % of the weights a step",
    "wide_inside": "N(0, 0.4) weights at the start",
}
RUINOUS = (
    "rate_x30", "rate_x30_unclipped", "rate_x100", "rate_over_1000", "rate_x100_from_middle", "rate_x100_for_a_while",
    "rate_x100_at_end", "rate_gone_early", "nan_to_the_end", "random_targets", "shifted_targets", "ascent",
    "bad_data_to_the_end", "decay_huge", "wide_start", "wide_inside", "bf16_weights",
)  # fmt: skip
"""Most of these ruin a run; whether one did, `health` says of each."""
ONLY_FABULA = {"no_end_of_text", "interrupted"}
"""What a Trainer's log cannot show, or does not save."""
ONLY_TRAINER = {"noisy_evaluations"}
TIMES_RUINED = {"fabula": 3, "trainer": 1}
"""How often each of them falls to the settings of a tool; every other fault does once."""
NUM_SETTINGS = {"fabula": 44, "trainer": 18}
SHAPE_KINDS = ("lr_fixed", "lr_rising", "lr_peak_not_reached", "warmup_missing", "warmup_too_long", "schedule_ok")
JUDGED = (
    *SHAPE_KINDS, "lr_floor_above_peak", "schedule_in_micro_steps", "non_finite", "batch_skipped", "initial_loss_off",
    "loss_scaled_by_accumulation", "updates_lost_to_rounding", "too_few_steps", "eot_missing", "interrupted",
    "evaluation_too_noisy", "window_never_binds", "rolled_back",
)  # fmt: skip
"""Kinds that what was done decides for every curve: False unless a fault is known for it."""
SHOWS = {
    "rising": ("lr_rising", "lr_floor_above_peak"), "no_warmup": ("warmup_missing",),
    "warmup_too_long": ("warmup_too_long",), "warmup_unreached": ("lr_peak_not_reached",),
    "micro_steps": ("schedule_in_micro_steps",), "nan_to_the_end": ("non_finite", "batch_skipped", "interrupted"),
    "nan_batch": ("non_finite", "batch_skipped"), "wide_start": ("initial_loss_off",),
    "bf16_weights": ("updates_lost_to_rounding",), "sum_not_mean": ("loss_scaled_by_accumulation",),
    "too_short": ("too_few_steps",), "no_end_of_text": ("eot_missing",), "interrupted": ("interrupted",),
    "noisy_evaluations": ("evaluation_too_noisy",),
}  # fmt: skip
NOT_IN_A_LOG = {"lr_floor_above_peak", "batch_skipped", "updates_lost_to_rounding", "eot_missing", "interrupted"}
"""Of these a Trainer's log says nothing."""
FAILED_FROM = 0.25
"""A run has failed that ends without a quarter of what its healthy twin learned, or not finite."""


def settings(draw: int) -> list[Setting]:
    drawn = []
    for tool, number in NUM_SETTINGS.items():
        for index in range(number):
            random = np.random.default_rng([draw, number, index])
            fabula = tool == "fabula"
            schedules = ["cosine", "cosine", "constant"] if fabula else ["cosine", "linear", "stable_decay",
                                                                         "inverse_root", "constant"]  # fmt: skip
            drawn.append(
                Setting(
                    tool=tool,
                    shape=["gpt", "llama", "gemma"][index % 3] if fabula else "gpt",
                    stories=["grammar", "tinystories"][int(random.integers(2))],
                    steps=int(random.integers(200, 301)),
                    rate=float(np.exp(random.uniform(np.log(1.5e-3), np.log(8e-3)))),
                    schedule=schedules[int(random.integers(len(schedules)))],
                    warmup=float(random.uniform(0.03, 0.12)),
                    width=int(random.choice([32, 48, 64])),
                    seed=int(random.integers(1_000)),
                    log_every=1 if fabula else int(random.choice([1, 1, 10])),
                )
            )
    return drawn


def plan(draw: int) -> list[tuple[Setting, str]]:
    """Every setting healthy, and the faults shared out among the settings of their tool in turn."""
    every = settings(draw)
    planned = []
    for tool in NUM_SETTINGS:
        of_tool = [each for each in every if each.tool == tool]
        left_out = ONLY_TRAINER if tool == "fabula" else ONLY_FABULA
        faults = [fault for fault in FAULTS if fault not in left_out]
        faults += [fault for fault in RUINOUS for _ in range(1, TIMES_RUINED[tool])]
        order = np.random.default_rng([draw, len(tool)]).permutation(len(faults))
        for index, setting in enumerate(of_tool):
            planned.append((setting, ""))
            planned += [(setting, fault) for fault in dict.fromkeys(faults[at] for at in order[index :: len(of_tool)])]
    return planned


class Curves:
    """The raw numbers of what a tool wrote."""

    def __init__(self, files: dict[str, Any], tool: str) -> None:
        if tool == "fabula":
            lines = files["metrics.jsonl"]
            train = [line for line in lines if line["kind"] == "train"]
            evals = [line for line in lines if line["kind"] == "eval"]
            held = "val_loss_subset"
        else:
            lines = files["trainer_state.json"]["log_history"]
            train = [line for line in lines if "loss" in line]
            evals = [line for line in lines if "eval_loss" in line]
            held = "eval_loss"
        self.steps = np.array([line["step"] for line in train], float)
        self.loss = _numbers(train, "loss")
        self.norm = _numbers(train, "grad_norm")
        self.eval_steps = np.array([line["step"] for line in evals], float)
        self.held = _numbers(evals, held)
        self.held_train = _numbers(evals, "train_loss")

    @property
    def final(self) -> float:
        """The last held-out loss; not finite where the training loss does not end finite."""
        return float(self.held[-1]) if len(self.held) and np.isfinite(self.loss[-1]) else math.nan


def _numbers(lines: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([math.nan if line.get(name) is None else line[name] for line in lines], float)


def labels_of(setting: Setting, fault: str, curves: Curves) -> dict[str, bool]:
    """Kind -> whether the curve shows it; kinds that neither the making nor the numbers decide are left out."""
    labels = dict.fromkeys(JUDGED, False)
    constant = setting.schedule == "constant"
    reshaped = fault in ("no_warmup", "warmup_too_long", "warmup_unreached", "rising", "micro_steps")
    if not reshaped:
        # 1 / sqrt leaves more than half of the peak only where the warmup takes more than a quarter.
        labels["lr_fixed" if constant else "schedule_ok"] = True
    for kind in SHOWS.get(fault, ()):
        labels[kind] = True
    if fault == "rising" and setting.tool == "trainer" and constant:
        labels |= {"lr_rising": False, "lr_fixed": True}  # a constant schedule has no floor to rise to
    if fault == "micro_steps":
        if setting.tool == "trainer" and (constant or setting.schedule == "inverse_root"):
            labels.pop("schedule_in_micro_steps")  # nothing to see: neither has an end
        for kind in SHAPE_KINDS:
            labels.pop(kind)
    if fault in RAISED or fault == "rate_gone_early":
        for kind in (*SHAPE_KINDS, "schedule_in_micro_steps"):
            labels.pop(kind)
    if fault in ("wide_inside", "ascent", "shifted_targets"):
        for kind in ("initial_loss_off", "loss_scaled_by_accumulation"):
            labels.pop(kind)
    if setting.tool == "trainer":
        for kind in NOT_IN_A_LOG:
            labels.pop(kind)
    if fault == "bf16_weights":
        labels["initial_loss_off"] = setting.tool == "fabula"  # the Trainer's has a narrow start
    if setting.tool == "fabula" and fault in ("interrupted", "nan_to_the_end"):
        for kind in SHAPE_KINDS:  # the record ends before the schedule does
            labels.pop(kind)
    labels |= _of_numbers(setting, fault, curves)
    return labels


def _of_numbers(setting: Setting, fault: str, curves: Curves) -> dict[str, bool]:
    """Labels by raw numbers, with a gap between yes and no."""
    found: dict[str, bool] = {}
    # The Trainer's filter hides NaN; its norms show them.
    bad = not (np.isfinite(curves.loss).all() and np.isfinite(curves.norm).all() and np.isfinite(curves.held).all())
    found["non_finite"] = bad or fault in ("nan_batch", "nan_to_the_end")
    if not found["non_finite"]:
        found |= _episodes(setting, fault, curves)
    clip = 0.01 if fault == "clip_tiny" else 1.0
    later = curves.norm[curves.steps > 0.1 * curves.steps[-1]]
    cut = float((later > 2.0 * clip).mean())
    if fault == "rate_x30_unclipped":
        found["clipping_dominates"] = False
    elif not 0.4 < cut < 0.6:
        found["clipping_dominates"] = cut >= 0.6
    held, train = curves.held[np.isfinite(curves.held)], curves.held_train
    if fault == "repeated_stories" and held[-1] > 1.03 * held.min():
        found["overfitting"] = True
    elif fault != "repeated_stories" and (fault == "" or held[-3:].mean() < 1.003 * held.min()):
        found["overfitting"] = False
    if setting.tool == "fabula" and not found["non_finite"]:
        gap = abs(held[-1] - train[-1]) / held[-1]
        if not 0.03 < gap < 0.08:
            found["generalizes"] = bool(gap <= 0.03)
    if fault == "":
        found["gradient_explosion"] = False
    return found


def _episodes(setting: Setting, fault: str, curves: Curves) -> dict[str, bool]:
    """Whether the loss left its level, knowing when it was made to."""
    no_episode = {"spike": False, "divergence": False, "recovery": False, "stable": True}
    healthy_faults = ("", "rate_over_1000", "no_warmup", "warmup_too_long", "warmup_unreached", "clip_tiny",
                      "no_end_of_text", "too_short", "interrupted", "micro_steps", "bf16_weights")  # fmt: skip
    if fault in healthy_faults:
        return no_episode
    last = float(curves.steps[-1])
    begin = {"odd_batches": float(odd_steps(setting.steps)[0]), "rate_x100_from_middle": 0.5 * last,
             "rate_x100_for_a_while": 0.3 * last, "rate_x100_at_end": 0.8 * last,
             "bad_data_to_the_end": 0.5 * last}.get(fault)  # fmt: skip
    if begin is None:
        return {}
    before = curves.loss[(curves.steps < begin) & (curves.steps >= begin - 0.1 * last)]
    after = curves.loss[curves.steps >= begin]
    end = curves.loss[curves.steps > 0.9 * last]
    level, least = float(np.median(before)), max(0.3, 0.1 * float(np.median(before)))
    smooth = np.array([np.median(after[max(0, i - 2) : i + 3]) for i in range(len(after))])
    if fault == "odd_batches":
        peak = float(after[: max(1, round(ODD_STEPS / setting.log_every))].max())
        late = curves.loss[(curves.steps > begin + 0.05 * last + ODD_STEPS) & (curves.steps < begin + 0.1 * last + 8)]
        if peak - level > least and len(late) and np.median(late) - level < 0.15 * (peak - level):
            return {"spike": True, "divergence": False, "stable": False}
        return {}
    rise, left = float(smooth.max()) - level, float(np.median(end)) - level
    if rise < least:
        return {}
    if fault in ("rate_x100_from_middle", "rate_x100_at_end", "bad_data_to_the_end") and left > max(least, 0.5 * rise):
        return {"divergence": True, "recovery": False, "stable": False, "spike": False}
    if fault == "rate_x100_for_a_while" and left < 0.12 * rise:
        return {"divergence": True, "recovery": True, "stable": False}
    return {"stable": False}


def health(setting: Setting, fault: str, curves: Curves, twin: Curves, vocabulary: int) -> str:
    """`healthy` as it was set up; else `failed` by what it came to, or `broken`, which may end well all the same."""
    if fault == "":
        return "healthy"
    if not math.isfinite(curves.final):
        return "failed"
    if fault in ("repeated_stories", "noisy_evaluations", "too_short", "interrupted"):
        return "broken"  # other stories, other rulers or fewer steps: no loss to compare
    lost = (curves.final - twin.final) / (math.log(vocabulary) - twin.final)
    return "failed" if lost >= FAILED_FROM else "broken"


def kept(folder: Path, tool: str) -> dict[str, Any]:
    """What the reader needs of the files: rates to six digits, losses to five, norms to four; no times, no paths."""
    if tool == "trainer":
        state = json.loads((folder / "trainer_state.json").read_text())
        lines = [{key: _short(key, value) for key, value in line.items() if key not in ("epoch", *_TIMES)}
                 for line in state["log_history"] if "train_runtime" not in line]  # fmt: skip
        names = ("global_step", "max_steps", "logging_steps", "epoch")
        return {"trainer_state.json": {**{name: state[name] for name in names}, "log_history": lines},
                "config.json": json.loads((folder / "config.json").read_text())}  # fmt: skip
    info = json.loads((folder / "run.json").read_text())
    names = ("format", "status", "recipe", "init_from", "seed", "steps", "parameters", "layout", "error", "steps_done")
    drop = {"tokens", "positions", "tokens_per_second", "val_loss_gpt2", "val_bits_per_byte", "val_loss", *_TIMES}
    lines = []
    for text in (folder / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        lines.append({key: _short(key, value) for key, value in line.items()
                      if key not in drop and not key.endswith("_seconds") and "128" not in key})  # fmt: skip
    looks = folder / "internals.jsonl"
    inside = [_look(json.loads(text)) for text in looks.read_text().splitlines()] if looks.exists() else []
    data = {"end_of_text": info["data"]["end_of_text"]}
    return {"run.json": {**{name: info[name] for name in names if name in info}, "data": data},
            "recipe.toml": (folder / "recipe.toml").read_text(), "metrics.jsonl": lines,
            **({"internals.jsonl": inside} if inside else {})}  # fmt: skip


def _look(line: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the machine."""
    kept = {key: value for key, value in line.items() if not key.endswith(("_seconds", "_bytes"))}
    return {key: [*map(_three_digits, value)] if isinstance(value, list) else _three_digits(value)
            for key, value in kept.items()}  # fmt: skip


def _three_digits(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


_TIMES = ("seconds", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second")


def _short(key: str, value: Any) -> Any:
    if isinstance(value, float):
        digits = {"learning_rate": 6, "grad_norm": 4}.get(key, 5)
        return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
    return value


def write(lines: list[dict[str, Any]], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    whole = out.with_name(out.name + ".part")
    whole.write_bytes(gzip.compress(text.encode(), mtime=0))
    whole.replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared")
    parser.add_argument("--tool", choices=TOOLS, help="the curves of one tool only")
    parser.add_argument("--only", type=int, help="stop after so many curves")
    parser.add_argument("--first", type=int, default=0, help="begin at this number of the draw, that of a healthy run")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    stories = make_stories(given.work, given.shared if given.shared.is_dir() else None)
    lines, twins = [], {}
    for number, (setting, fault) in enumerate(plan(given.draw)):
        if setting.stories not in stories or given.tool not in (None, setting.tool) or number < given.first:
            continue
        if len(lines) == given.only:
            break
        started = time.time()
        with tempfile.TemporaryDirectory(dir=given.work) as work:
            folder = Path(work) / "run"
            TOOLS[setting.tool](setting, fault, stories, folder)
            files = kept(folder, setting.tool)
            shutil.rmtree(folder)
        curves = Curves(files, setting.tool)
        if fault == "":
            twins[setting] = curves
        vocabulary = 512 if setting.stories == "grammar" else 1024
        is_trainer = setting.tool == "trainer"
        clip = {"clip_tiny": 0.01, "rate_x30_unclipped": 0.0}.get(fault, 1.0)
        accumulation = 4 if fault in ("micro_steps", "sum_not_mean") else 1
        flags = {"clip": clip, "accumulation": accumulation, "from_scratch": True} if is_trainer else {}
        lines.append(
            {
                "name": f"{given.draw}.{number:03d}",
                "tool": setting.tool,
                "fault": fault,
                "setting": asdict(setting),
                "health": health(setting, fault, curves, twins[setting], vocabulary),
                "labels": labels_of(setting, fault, curves),
                "flags": flags,
                "files": files,
            }
        )
        told = f"{number:3d} {setting.tool:8s}{setting.schedule:14s}{fault:24s}{curves.final:8.3f}"
        print(f"{told}  {lines[-1]['health']:8s}{time.time() - started:6.1f} s", file=sys.stderr, flush=True)
        write(lines, given.out)  # all that there are: a draw that is stopped is a smaller draw
    print(f"{len(lines)} curves in {given.out} ({given.out.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
