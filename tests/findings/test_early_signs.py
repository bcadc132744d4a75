"""What was to be seen inside the model before the loss showed it says how long before."""

from typing import Any

import numpy as np
import pytest

from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts


def looks(from_step: int) -> list[dict[str, Any]]:
    """Attention logits that are large from some step on."""
    usual = {"grad_norm": [0.4, 0.3]}
    return [
        {"step": step, **usual, "attention_logit": [3.0, 400.0 if step >= from_step else 5.0]}
        for step in range(10, 400, 10)
    ]


def loss(rises_at: int | None) -> Curve:
    at = np.arange(1.0, 401)
    values = 2.0 + 6.0 * np.exp(-at / 40) + np.random.default_rng(0).normal(0.0, 0.02, 400)
    if rises_at is not None:
        values[rises_at:] += 2.0
    return Curve("loss", at, values)


@pytest.mark.parametrize(
    ("seen_from", "rises_at", "ahead"), [(100, 250, True), (240, 250, False), (300, 250, False), (100, None, False)]
)
def test_a_sign_says_how_long_before_the_loss_it_was_there(seen_from: int, rises_at: int | None, ahead: bool) -> None:
    (found,) = diagnose_facts(Facts(train_loss=loss(rises_at), internals=looks(seen_from))).of(
        "attention_logits_growing"
    )
    assert ("later, at step" in found.sentence) == ahead
    if ahead:
        assert found.evidence["steps_before_the_loss"] == pytest.approx(250 - (seen_from + 20), abs=5)
        assert f"only {found.evidence['steps_before_the_loss']} steps later, at step 2" in found.sentence
    else:
        assert "steps_before_the_loss" not in found.evidence
