"""What findings say to a reader: one value for the end of a run, one name for each loss, a reason for each check that
was not made."""

from pathlib import Path

import numpy as np
import pytest
from tests.findings.heldout import CASES

from fabula.findings import Diagnosis, diagnose
from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Curve, Facts, facts_of_run
from fabula.record.content.columns import to_columns
from fabula.record.reader import Run

SUBSET = [4.0, 3.7, 3.4, 3.249, 3.2, 3.15]
FULL = 3.109


def run_with_a_full_evaluation(end: float = FULL) -> Run:
    """Evaluations on the fixed subset, the last one also on all validation stories, as fabula writes them."""
    lines = [
        {"step": 100.0 * place, "val_loss_subset": loss, "val_loss": loss, "train_loss": loss - 0.05, "full": 0.0}
        for place, loss in enumerate(SUBSET)
    ]
    lines[-1] |= {"val_loss": end, "full": 1.0}
    return Run(Path("run"), {}, to_columns([]), to_columns(lines))


def sentence_of(diagnosis: Diagnosis, kind: str) -> str:
    (finding,) = diagnosis.of(kind)
    return finding.sentence


def test_the_end_of_a_run_is_its_final_evaluation() -> None:
    """Not the median of its last three evaluations (3.200), which no page shows."""
    facts = facts_of_run(run_with_a_full_evaluation())
    assert facts.final_val_loss == FULL and facts.val_on_subset
    assert sentence_of(diagnose_facts(facts), "generalizes") == (
        "At the end the validation loss (3.109) and the loss on a fixed sample of training stories (3.100) are close: "
        "what was learned also works on new stories."
    )


def test_without_a_full_evaluation_the_last_ones_count() -> None:
    """A log of another program has none; its loss is not on a subset that anybody knows of."""
    facts = facts_of_run(run_with_a_full_evaluation(end=float("nan")))
    assert facts.final_val_loss is None
    steps = np.arange(0.0, 600.0, 100.0)
    loss = Facts(val_loss=Curve("val_loss", steps, np.array(SUBSET)), train_loss=Curve("loss", steps, np.array(SUBSET)))
    assert "(3.200)" in sentence_of(diagnose_facts(loss), "generalizes")


def test_two_losses_on_training_stories_have_two_names() -> None:
    ours, theirs = Facts(), Facts(info={"log_format": "csv"})
    assert ours.name_of("loss") == theirs.name_of("loss") == "loss of the training batches"
    assert ours.name_of("train_loss") == "loss on a fixed sample of training stories"
    assert theirs.name_of("train_loss") == "training loss at the evaluations"


@pytest.mark.parametrize("kind", CASES)
def test_every_sentence_and_reason_can_be_read_alone(kind: str) -> None:
    """A check that was not made says what it needs or what it applies to, never only a noun."""
    run, flags = CASES[kind].shows(np.random.default_rng([3, 1]))
    for diagnosis in (diagnose(run, flags), diagnose(run)):
        assert all(each.lacks.startswith(("needs ", "applies only to ")) for each in diagnosis.silent)
        for finding in diagnosis.findings:
            assert finding.sentence[0].isupper() and finding.sentence.endswith((".", ".)"))
            assert "eld-out" not in finding.sentence
