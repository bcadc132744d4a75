"""Columns of foreign logs that look inside the model feed the same findings as our own looks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.test_foreign_events import scalar

from fabula.findings import diagnose
from fabula.record.foreign import read_log
from fabula.record.foreign.lines.inside import Seen, seen_in
from fabula.record.reader import Run

NAN = float("nan")


def read(text: str, name: str = "log.csv") -> Run:
    (run,) = read_log(Path(name), text.encode())
    return run


def table(**columns: Any) -> str:
    """30 lines, every 10 steps, beside a loss that falls; a value stands for all lines."""
    lines = [("step", "loss", *columns)]
    for line in range(30):
        values = (each[line] if isinstance(each, (list, np.ndarray)) else each for each in columns.values())
        lines.append((str(10 * line), f"{6.0 - 0.1 * line:.2f}", *map(str, values)))
    return "".join(",".join(line) + "\n" for line in lines)


def told(run: Run, kind: str) -> list[str]:
    return [each.sentence for each in diagnose(run).of(kind)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grad_norm/model.layers.3.mlp.up_proj.weight", Seen("grad_norm", ("", 3), "mlp_up_proj_weight")),
        ("layer_3_grad_norm", Seen("grad_norm", ("", 3), "")),
        ("grad_2.0_norm/h.5.w", Seen("grad_norm", ("", 5), "w")),
        ("l2_norm/grad/model.transformer.blocks.7.ffn", Seen("grad_norm", ("", 7), "ffn")),
        ("gradients/transformer.h.0.attn", Seen("grad_norm", ("", 0), "attn")),
        ("decoder.block.2/grad_norm", Seen("grad_norm", ("decoder", 2), "")),
        ("layer2.dead_relu_pct", Seen("dead_units", ("", 2), "")),
        ("max_attention_logit", Seen("attention_logit", None, "")),
        ("train/max_logits/layer_3", Seen("attention_logit", ("", 3), "")),
        ("l2_norm/update/blocks.7.w", Seen("update_norm", ("", 7), "w")),
        ("ud_ratio/h.1", Seen("update_ratio", ("", 1), "")),
    ],
)
def test_names_say_what_and_of_which_layer(name: str, expected: Seen) -> None:
    assert seen_in(name) == expected


@pytest.mark.parametrize(
    "name",
    ["grad_norm", "grad_norm/total", "grad_norm_std", "grad_norm/layers.0/min", "clip_grad_norm", "rank_0/grad_norm",
     "gradients/embed_tokens.weight", "grad_norm/lm_head.weight", "param_norm", "max_logit", "loss", "layer_0_loss",
     "learning_rate_layer_0", "l2_norm/moment/blocks.0.w", "attn_entropy/layer_0"],
)  # fmt: skip
def test_other_names_say_nothing_of_a_layer(name: str) -> None:
    assert seen_in(name) is None


def test_a_layer_whose_gradient_vanishes_is_named_as_the_log_counts() -> None:
    columns = {f"grad_norm/layers.{layer}.{part}": 0.3 if layer else 1e-6 for layer in (0, 1, 2) for part in "ab"}
    run = read(table(**columns))
    (sentence,) = told(run, "vanishing_gradient")
    assert "the gradient of layer 0 (1.41e-6)" in sentence
    assert [each["kind"] for each in run.info["notes"]] == ["looks_inside", "steps_apart"]
    assert "changes" not in run.info


def test_layers_of_which_other_parts_are_logged_are_not_compared() -> None:
    assert not told(read(table(**{"grad_norm/h.0.bias": 1e-6, "grad_norm/h.1.weight": 0.3})), "vanishing_gradient")
    both = {"grad_norm/h.0.bias": 1e-6, "grad_norm/h.1.bias": 2e-6, "grad_norm/h.1.weight": 0.3}
    assert not told(read(table(**both)), "vanishing_gradient")


def test_a_layer_without_any_gradient_was_frozen_and_is_left_out() -> None:
    columns = {"grad_norm/h.0": 0.0, "grad_norm/h.1": 0.2, "grad_norm/h.2": 0.3}
    run = read(table(**columns))
    assert run.internals[0]["layers"] == {"grad_norm": ["1", "2"]} and not told(run, "vanishing_gradient")


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("dead_neurons", 0.97, "97 % of the feed-forward units of the model"),
        ("dead_neurons_pct/layer_4", 97.0, "97 % of the feed-forward units of layer 4"),
        ("layer_4/dead_units", 97.3, "97 % of the feed-forward units of layer 4"),
        ("frac_dead_neurons", 1, "100 % of the feed-forward units of the model"),
        ("dead_neurons", 12, None),
        ("dead_neurons", 1, None),
        ("dead_neurons", 0.4, None),
        ("dead_neurons", "many", None),
    ],
)
def test_shares_are_read_and_numbers_of_units_are_not(name: str, values: Any, found: str | None) -> None:
    sentences = told(read(table(**{name: values})), "dead_units")
    assert [found in each for each in sentences if found] == ([True] if found else [])
    assert bool(sentences) == bool(found)


def test_a_growing_attention_logit_is_told_of_its_layer() -> None:
    columns = {"max_attn_logit/layer_0": 5.0, "max_attn_logit/layer_1": np.linspace(4.0, 400.0, 30)}
    (sentence,) = told(read(table(**columns)), "attention_logits_growing")
    assert "of layer 1 is above 100" in sentence


def test_update_ratios_come_from_norms_or_logarithms() -> None:
    norms = {"l2_norm/update/h.0.w": 3e-3, "l2_norm/param/h.0.w": 2.0, "update_ratio/h.1": -3.0}
    look = read(table(**norms)).internals[0]
    assert dict(zip(look["layers"]["update_ratio"], look["update_ratio"], strict=True)) == {
        "1": pytest.approx(1e-3), "0": pytest.approx(1.5e-3)
    }  # fmt: skip


def test_what_is_lost_ends_the_row_and_what_is_not_logged_does_not() -> None:
    lines = []
    for step in range(40):
        line = {"step": step, "loss": 5.0 - 0.05 * step}
        if step % 4 == 0:
            line["dead_units/h.0"] = 0.96
        if step % 4 == 1:
            line["grad_norm/h.0"] = line["grad_norm/h.1"] = 0.3
        lines.append(line)
    run = read("".join(json.dumps(line) + "\n" for line in lines), "log.jsonl")
    assert told(run, "dead_units")
    for line in lines:
        if line["step"] % 8 == 0:
            line["dead_units/h.0"] = NAN
    run = read("".join(json.dumps(line) + "\n" for line in lines), "log.jsonl")
    assert not told(run, "dead_units") and run.internals[0]["dead_units"] == [None]


def test_histograms_of_watched_gradients_are_read_as_norms() -> None:
    edges = np.linspace(-1.0, 1.0, 65)
    counts, _ = np.histogram(np.random.default_rng(0).normal(0.0, 0.2, 10_000), edges)
    for small, packed in ((1e-6, False), (1e-6, True)):
        lines = []
        for step in range(20):
            line: dict[str, Any] = {"step": step, "loss": 5.0 - 0.1 * step}
            for layer, scale in enumerate((small, 1.0)):
                bins = {"packedBins": {"min": -scale, "size": scale / 32, "count": 64}} if packed else {
                    "bins": (scale * edges).tolist()}  # fmt: skip
                line[f"gradients/h.{layer}.w"] = {"_type": "histogram", "values": counts.tolist(), **bins}
            lines.append(json.dumps(line) + "\n")
        run = read("".join(lines), "log.jsonl")
        assert run.internals[0]["grad_norm"][1] == pytest.approx(20.0, rel=0.05)  # 0.2 x sqrt(10,000)
        assert told(run, "vanishing_gradient")


def test_scalars_of_an_event_file() -> None:
    content = b"".join(
        scalar(tag, step, value)
        for step in range(30)
        for tag, value in (("loss", 4.0 - step / 20), ("dead_frac/layer_1", 0.95), ("grad_norm/layer_1", 0.5))
    )
    (run,) = read_log(Path("events.out.tfevents.1"), content)
    assert run.internals[0] == {
        "step": 0, "layers": {"dead_units": ["1"], "grad_norm": ["1"]},
        "dead_units": [pytest.approx(0.95)], "grad_norm": [0.5],
    }  # fmt: skip
    assert told(run, "dead_units")


def test_a_chart_with_columns_of_several_quantities() -> None:
    lines = ["Step,a - loss,a - dead_fraction"] + [f"{step},{3 - step / 100},0.99" for step in range(40)]
    assert told(read("\n".join(lines) + "\n"), "dead_units")
