"""The Hugging Face Trainer's folder and printed lines, and nanoGPT's. logs/trainer and logs/trainer.log are of one
real run (transformers 5.23, 30 steps, logged every 5 and at the first, evaluated every 10), the log with its progress
bar.
"""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fabula.errors import InputError
from fabula.record.foreign import read_log, read_sources
from fabula.record.reader import Run

LOGS = Path(__file__).parent / "logs"
STEPS = [1, 5, 10, 15, 20, 25, 30]


def kinds(run: Run) -> list[str]:
    return [each["kind"] for each in run.info["notes"]]


def printed(text: str) -> Run:
    (run,) = read_log(Path("train.log"), text.encode())
    return run


def test_the_latest_checkpoint_of_an_output_folder() -> None:
    (run,), _ = read_sources(LOGS / "trainer")
    assert run.train["step"].tolist() == STEPS
    assert run.train["loss"][0] == 4.285136699676514
    assert run.evals["step"].tolist() == [10, 20, 30]
    assert run.info["vocabulary"] == 97 and run.info["status"] == "finished" and run.info["steps"] == 30
    assert {"window_mean", "nan_filtered", "maybe_scaled"} <= set(kinds(run))


def test_an_unfinished_run_says_where_its_log_ends(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-20").mkdir()
    state = (LOGS / "trainer" / "checkpoint-20" / "trainer_state.json").read_text(encoding="utf-8")
    (tmp_path / "checkpoint-20" / "trainer_state.json").write_text(state, encoding="utf-8")
    (run,), _ = read_sources(tmp_path)
    assert "status" not in run.info and run.info["steps"] == 30
    assert "latest_checkpoint" in kinds(run)
    (alone,) = read_log(Path("trainer_state.json"), state.encode())
    assert alone.train["step"].tolist() == run.train["step"].tolist() == STEPS[:5]


def test_the_summary_is_no_loss() -> None:
    history = [{"step": step, "loss": 3.0, "learning_rate": 1e-3} for step in (10, 20)]
    history += [{"step": 20, "train_loss": 4.5, "train_runtime": 9.0}]
    (run,) = read_log(Path("trainer_state.json"), json.dumps({"log_history": history}).encode())
    assert run.train["loss"].tolist() == [3.0, 3.0] and "train_loss" not in run.evals
    assert "train_loss_is_average" in kinds(run)


def test_a_zero_out_of_the_blue_is_a_filtered_nan() -> None:
    history = [{"step": step, "loss": 3.0 if step < 30 else 0.0} for step in range(10, 60, 10)]
    (run,) = read_log(Path("trainer_state.json"), json.dumps({"log_history": history}).encode())
    assert run.train["loss"].tolist() == [3.0, 3.0, np.inf, np.inf, np.inf]
    assert "zero_is_nan" in kinds(run)
    small = [{"step": step, "loss": loss} for step, loss in enumerate((0.02, 0.004, 0.0, 0.0), start=1)]
    (memorised,) = read_log(Path("trainer_state.json"), json.dumps({"log_history": small}).encode())
    assert memorised.train["loss"].tolist() == [0.02, 0.004, 0.0, 0.0]
    policy = [{"step": step, "loss": loss} for step, loss in enumerate((0.02, 0.0, -0.01, 0.0), start=1)]
    (policy_run,) = read_log(Path("trainer_state.json"), json.dumps({"log_history": policy}).encode())
    assert policy_run.train["loss"].tolist() == [0.02, 0.0, -0.01, 0.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"log_history": []}', "log_history is empty"),
        ('{"log_history": 3}', "the Trainer did not write it"),
        ('{"log_history": [{"loss": 3.0}]}', "no column of steps"),
    ],
)
def test_a_state_that_says_nothing(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read_sources(tmp_path)


def test_printed_lines_have_the_steps_of_the_progress_bar() -> None:
    (folder,), _ = read_sources(LOGS / "trainer")
    (run,), _ = read_sources(LOGS / "trainer.log")
    assert run.train["step"].tolist() == STEPS
    for name in ("loss", "grad_norm", "learning_rate"):  # printed with four digits
        np.testing.assert_allclose(run.train[name], folder.train[name], rtol=6e-4)
    np.testing.assert_allclose(run.evals["val_loss"], folder.evals["val_loss"], rtol=6e-4)
    assert run.evals["step"].tolist() == [10, 20, 30] and run.info["steps"] == 30


def test_printed_lines_alone_are_counted() -> None:
    run = printed(
        "Some warning\n{'loss': 3.2, 'grad_norm': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
        "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 5e-06, 'epoch': 0.2}\n"
        "{'eval_loss': 3.0, 'eval_runtime': 1.0, 'epoch': 0.2}\n"
        "{'train_runtime': 5.0, 'train_loss': 2.0, 'epoch': 0.2}\n{'loss': 3.1, 'gra"
    )
    assert run.train["step"].tolist() == [1, 2]
    assert run.train["loss"].tolist() == [3.2, np.inf] and run.train["grad_norm"].tolist() == [1.5, np.inf]
    assert run.evals["step"].tolist() == [2]
    assert {"steps_are_lines", "train_loss_is_average", "zero_is_nan"} <= set(kinds(run))


def test_nanogpt_counts_from_zero() -> None:
    run = printed(
        "found vocab_size = 65 (inside data/shakespeare_char/meta.pkl)\nInitializing a new model from scratch\n"
        "step 0: train loss 4.2874, val loss 4.2823\niter 0: loss 4.2649, time 34.27ms, mfu -100.00%\n"
        "iter 10: loss 3.2438, time 12.10ms, mfu 18.62%\niter 20: loss nan, time 12.10ms, mfu 18.62%\n"
        "step 250: train loss 1.9, val loss nan\nsaving checkpoint to out\niter 250: loss 2.0, time 1.0ms, mfu 18.62%\n"
    )
    assert run.train["step"].tolist() == [1, 11, 21, 251]
    assert run.train["loss"].tolist() == [4.2649, 3.2438, np.inf, 2.0]
    assert run.evals["step"].tolist() == [0, 250]
    assert run.evals["val_loss"].tolist() == [4.2823, np.inf] and run.evals["train_loss"].tolist() == [4.2874, 1.9]
    assert run.info["vocabulary"] == 65 and run.info["from_scratch"] is True
    assert {"counted_from_zero", "last_micro_step"} <= set(kinds(run))


@pytest.mark.slow
@pytest.mark.parametrize("logging_steps", [1, 7])
def test_a_real_trainer(logging_steps: int, tmp_path: Path) -> None:
    """Two layers of width 16, 30 steps: its folder and its printed lines say the same."""
    pytest.importorskip("accelerate", reason="the Trainer needs accelerate")
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")

    config = transformers.GPT2Config(vocab_size=97, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    tokens = torch.randint(0, 97, (64, 16), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=30, logging_steps=logging_steps,
        eval_strategy="steps", eval_steps=10, save_steps=30, report_to=[], use_cpu=True,
        learning_rate=1e-2, lr_scheduler_type="cosine", warmup_steps=5,
    )  # fmt: skip
    trainer = transformers.Trainer(
        transformers.GPT2LMHeadModel(config), arguments, train_dataset=rows, eval_dataset=rows[:8]
    )
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught), contextlib.redirect_stderr(caught):
        trainer.train()
    (folder,), _ = read_sources(tmp_path / "out")
    history = [line for line in trainer.state.log_history if "loss" in line]
    assert folder.train["step"].tolist() == [line["step"] for line in history]
    assert folder.train["loss"].tolist() == [line["loss"] for line in history]
    assert folder.info["steps"] == 30 and folder.info["vocabulary"] == 97
    lines = printed(caught.getvalue())
    assert lines.train["step"].tolist() == folder.train["step"].tolist(), os.linesep.join(
        caught.getvalue().splitlines()
    )
    assert lines.evals["step"].tolist() == folder.evals["step"].tolist() == [10, 20, 30]
    np.testing.assert_allclose(lines.train["loss"], folder.train["loss"], rtol=6e-4)
