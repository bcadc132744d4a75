"""Logs of other programs: CSV, JSON lines, W&B exports, and what is not a log at all."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curves import Baseline

from fabula.errors import InputError
from fabula.record.foreign import read_log, read_sources
from fabula.record.foreign.names import SYNONYMS, normalized, recognize
from fabula.record.reader import Run

NAN, INF = float("nan"), float("inf")


def read(text: str, name: str = "log.csv") -> Run:
    (run,) = read_log(Path(name), text.encode())
    return run


def kinds(run: Run) -> list[str]:
    return [each["kind"] for each in run.info["notes"]]


# Columns by name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Step", "Training Loss", "Validation Loss"],
         {"step": "Step", "train_loss": "Training Loss", "val_loss": "Validation Loss"}),
        (["_step", "iter", "lr"], {"step": "iter", "learning_rate": "lr"}),
        (["trainer/global_step", "lr-AdamW"], {"step": "trainer/global_step", "learning_rate": "lr-AdamW"}),
        (["step", "eval_stories_loss"], {"step": "step", "val_loss": "eval_stories_loss"}),
        (["globalStep", "evalLoss"], {"step": "globalStep", "val_loss": "evalLoss"}),
        (["step", "lr_mult", "lr_scale", "optim/grad_norm"], {"step": "step", "grad_norm": "optim/grad_norm"}),
        (["learning/loss", "learning/current_learning_rate"],
         {"loss": "learning/loss", "learning_rate": "learning/current_learning_rate"}),
        (["global_step", "step", "gnorm"], {"step": "global_step", "grad_norm": "gnorm"}),
        (["colour", "shape"], {}),
    ],
)  # fmt: skip
def test_columns_are_known_by_many_names(names: list[str], expected: dict[str, str]) -> None:
    assert recognize(names) == expected


def test_no_name_means_two_things() -> None:
    every = [name for synonyms in SYNONYMS.values() for name in synonyms]
    assert len(every) == len(set(every))
    assert all(normalized(name) == name for name in every), "the table is written as names are looked up"


# CSV


def test_training_loss_beside_every_evaluation_belongs_to_the_evaluations() -> None:
    run = read("step,train_loss,val_loss\n0,10.9,10.8\n500,7.0,7.1\n1000,5.0,5.2\n")
    assert len(run.train["step"]) == 0
    assert run.evals["train_loss"].tolist() == [10.9, 7.0, 5.0]
    assert run.info["columns"] == {"step": "step", "train_loss": "train_loss", "val_loss": "val_loss"}


def test_training_loss_on_lines_of_its_own_is_the_loss_of_the_step() -> None:
    run = read(
        "step,train_loss,val_loss\n" + "".join(f"{step},{9 - step / 10},\n" for step in range(1, 11)) + "10,,8.2\n"
    )
    assert run.train["step"].tolist() == list(range(1, 11))
    assert run.train["loss"][0] == 8.9
    assert run.evals["val_loss"].tolist() == [8.2]
    assert run.info["columns"]["loss"] == "train_loss"
    assert kinds(run) == []


def test_what_is_missing_and_what_is_lost_stay_apart() -> None:
    run = read("step,loss,val_loss\n1,3.0,\n2,nan,\n3,inf,\n3,,2.9\n4,2.8,\n")
    assert run.train["loss"].tolist() == [3.0, INF, INF, 2.8]
    assert run.evals["val_loss"].tolist() == [2.9]


def test_an_empty_loss_at_the_end_is_a_lost_one() -> None:
    lines = [f"{step},{5 - step / 100 if step < 40 else ''},1e-3" for step in range(1, 61)]
    run = read("step,loss,lr\n" + "\n".join(lines) + "\n")
    assert np.isinf(run.train["loss"][39:]).all() and np.isfinite(run.train["loss"][:39]).all()
    assert kinds(run) == ["empty_is_nan"]


@pytest.mark.parametrize(
    "text",
    [
        # A rate on every line and a loss on each tenth; summaries of an epoch on lines of their own.
        "step,loss,lr\n" + "".join(f"{step},{4.0 if step % 10 == 1 else ''},1e-3\n" for step in range(1, 60)),
        "step,epoch,train_loss_step,train_loss_epoch\n"
        + "".join(f"{step},{step // 10}," + (",4.1\n" if step % 10 == 9 else "4.0,\n") for step in range(60)),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_logged_on_a_line_is_not_lost(text: str) -> None:
    run = read(text)
    assert np.isfinite(run.train["loss"][~np.isnan(run.train["loss"])]).all()
    assert "empty_is_nan" not in kinds(run)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_comments_and_repeated_headers(separator: str) -> None:
    text = "# made by hand\nstep,loss\n1,3.0\nstep,loss\n2,2.5\n".replace(",", separator)
    run = read(text)
    assert run.train["loss"].tolist() == [3.0, 2.5]


def test_a_half_written_last_line_is_left_out() -> None:
    assert read("step,loss,lr\n1,3.0,1e-3\n2,2.9").train["step"].tolist() == [1.0]
    run = read("step,loss,lr\n1,3.0,1e-3\n2,2.9,1e-")
    assert run.train["step"].tolist() == [1.0] and kinds(run) == ["cut_off"]
    assert read("step,loss,lr\n1,3.0,1e-3\n2,2.9,1e-3").train["step"].tolist() == [1.0, 2.0]


def test_a_resume_is_seen_where_the_steps_go_back() -> None:
    steps = [*range(1, 101), *range(81, 121)]
    run = read("step,loss\n" + "".join(f"{step},{9 - step / 50}\n" for step in steps))
    assert run.events == [{"event": "resumed", "step": 80}]
    assert kinds(run) == ["resumed"]


def test_of_several_runs_in_one_log_the_last_is_read() -> None:
    text = "step,loss\n" + "".join(f"{step},{level}\n" for level in (5.0, 4.0) for step in range(1, 31))
    run = read(text)
    assert run.train["loss"].tolist() == [4.0] * 30
    assert kinds(run) == ["several_runs"]


def test_lines_in_the_wrong_order_are_sorted() -> None:
    run = read("step,loss\n" + "".join(f"{step},{step}\n" for step in range(40, 0, -1)))
    assert run.train["step"].tolist() == list(range(1, 41))
    assert run.events == []


def test_steps_apart_are_told() -> None:
    assert kinds(read("step,loss\n" + "".join(f"{step},3.0\n" for step in range(10, 200, 10)))) == ["steps_apart"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("runs_first-tag-train_loss.csv", "loss"),
        ("train_loss.csv", "loss"),
        ("run-validation-tag-epoch_loss.csv", "val_loss"),
        ("fox_eval_loss (1).csv", "val_loss"),
        ("test_run_3-loss.csv", "loss"),
    ],
)
def test_one_curve_says_in_its_name_what_it_is(name: str, column: str) -> None:
    for header, before in (("Wall time,Step,Value", "1.7e9,"), ("step,value,timestamp", "")):
        rows = "".join(f"{before}{step},{loss}{'' if before else ',2024'}\n" for step, loss in ((1, 3.0), (2, 2.5)))
        run = read(f"{header}\n{rows}", name)
        lines = run.evals if column == "val_loss" else run.train
        assert lines[column].tolist() == [3.0, 2.5] and len(run.train["step"]) + len(run.evals["step"]) == 2
        assert ("sampled_download" in kinds(run)) == bool(before)
        with pytest.raises(InputError, match="does not say which"):
            read(f"{header}\n{rows}", "download.csv")
    (run,) = read_log(Path("download.csv"), b"Wall time,Step,Value\n1,1,3.0\n1,2,2.5\n", {"loss": "Value"})
    assert run.train["loss"].tolist() == [3.0, 2.5]


def test_a_table_of_evaluations_with_an_empty_column(baseline: Baseline) -> None:
    (run,), _ = read_sources(baseline.path)
    assert len(run.evals["step"]) == baseline.num_evaluations
    assert run.evals["val_loss"][0] == baseline.first_loss
    assert run.evals["train_loss"][-1] == baseline.last_train_loss


# JSON lines


def test_json_lines() -> None:
    lines = [{"iter": step, "train": {"loss": 5.0 - step}, "note": "fine"} for step in range(3)]
    run = read("\n".join(map(json.dumps, lines)) + '\n{"iter": 3, "train": {"lo', "log.jsonl")
    assert run.train["loss"].tolist() == [5.0, 4.0, 3.0]
    assert run.info["columns"]["loss"] == "train/loss"
    assert "cut_off" in kinds(run)


def test_json_numbers_that_are_none() -> None:
    run = read('{"step":1,"loss":3.0}\n{"step":2,"loss":NaN}\n{"step":3,"loss":"inf"}\n{"step":3,"eval_loss":2.5}\n')
    assert run.train["loss"].tolist() == [3.0, INF, INF]
    assert run.evals["val_loss"].tolist() == [2.5]


def test_null_where_every_line_has_a_loss_is_a_lost_one() -> None:
    lines = [{"step": step, "loss": 4.0 if step < 30 else None, "lr": 1e-3} for step in range(1, 41)]
    run = read("\n".join(map(json.dumps, lines)), "log.jsonl")
    assert np.isinf(run.train["loss"][29:]).all()
    # The same lines with an evaluation among them: there null only fills the line up.
    filled = [{"step": 1, "loss": 4.0, "val_loss": None}, {"step": 1, "loss": None, "val_loss": 4.5}] * 5
    assert read("\n".join(map(json.dumps, filled)), "log.jsonl").train["loss"].tolist() == [4.0] * 5


def test_a_log_history_as_one_list() -> None:
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "train_loss": 2.5, "train_runtime": 1.0}]
    run = read(json.dumps(lines), "history.json")
    assert run.train["loss"].tolist() == [3.0, 2.0]
    assert "train_loss_is_average" in kinds(run) and "train_loss" not in run.evals


def test_own_lines_away_from_their_run_folder() -> None:
    run = read(
        '{"kind":"event","step":0,"event":"started"}\n{"kind":"eval","step":0,"val_loss":9.0,"val_loss_subset":9.1,"full":true}\n'
        '{"kind":"train","step":1,"loss":8.0}\n{"kind":"train","step":2,"loss":null,"non_finite":["loss"]}\n'
    )
    assert run.train["loss"].tolist() == [8.0, INF]
    assert run.evals["val_loss_subset"].tolist() == [9.1] and run.events[0]["event"] == "started"


def test_lines_of_others_that_have_a_kind_too() -> None:
    run = read(
        '{"kind":"train","step":1,"loss":3.0,"lr":0.1}\n{"kind":"train","step":2,"loss":2.5,"lr":0.1}\n'
        '{"kind":"eval","step":2,"loss":2.75}\n',
        "log.jsonl",
    )
    assert run.train["loss"].tolist() == [3.0, 2.5] and run.train["learning_rate"].tolist() == [0.1, 0.1]
    assert run.evals["val_loss"].tolist() == [2.75]


# Weights & Biases


def test_a_chart_of_several_runs_is_several_runs() -> None:
    text = (
        '"Step","fox - train/loss","fox - train/loss__MIN","fox - train/loss__MAX","owl - a - train/loss",'
        '"owl - a - train/loss__MIN","owl - a - train/loss__MAX"\n'
        + "".join(f'"{step}","4","3","5","{5 if step < 50 else ""}","",""\n' for step in range(0, 100, 10))
    )  # fmt: skip
    fox, owl = read_log(Path("wandb_export.csv"), text.encode())
    assert (fox.info["name"], owl.info["name"]) == ("fox", "owl - a")
    assert fox.info["log_format"] == "wandb" and kinds(fox) == ["sampled_chart"]
    assert len(fox.train["step"]) == 10
    assert owl.train["loss"].tolist() == [5.0] * 5, "a run that ended earlier has empty cells, not lost losses"


def _numbers(separator: str, *columns: list[float]) -> bytes:
    return "".join(separator.join(f"{each:g}" for each in row) + "\n" for row in zip(*columns, strict=True)).encode()


COUNT = [10.0 * n for n in range(1, 13)]
LOSS = [4 - n / 8 for n in range(12)]


@pytest.mark.parametrize("separator", [" ", ",", "\t", "; "])
def test_numbers_without_names(separator: str) -> None:
    content = _numbers(separator, LOSS, COUNT)
    bracketed = b"".join(b"(%s)\n" % line for line in content.splitlines())
    (run,) = read_log(Path("numbers.txt"), content + b"done\n")
    timed = b"".join(b"2025-11-02T10:00:00.12 %s\n" % line for line in content.splitlines())
    assert read_log(Path("timed.txt"), timed)[0].train["loss"].tolist() == LOSS
    assert read_log(Path("tuples.txt"), bracketed)[0].train["loss"].tolist() == LOSS
    tuples = "".join(f"({step:.0f}, np.float64({loss}))\n" for step, loss in zip(COUNT, LOSS, strict=True))
    assert read_log(Path("tuples.txt"), tuples.encode())[0].train["loss"].tolist() == LOSS
    assert run.train["step"].tolist() == COUNT and run.train["loss"].tolist() == LOSS
    assert run.info["notes"][0]["kind"] == "nameless"


HELD_OUT = [3.5, 3.0, 2.75]
SINGLE_PRECISION = ", ".join(f"np.float32({each})" for each in LOSS)


@pytest.mark.parametrize(
    "printed",
    [f"train_losses: {LOSS}\nval_losses: {HELD_OUT}\n",
     f"done in 12 s\n{ {'loss': LOSS, 'val_loss': HELD_OUT, 'lr': [0.1] * 12} }\n",
     "\n- ".join(["loss:", *map(str, LOSS)]) + "\n" + "\n  - ".join(["val_loss:", *map(str, HELD_OUT)]) + "\n",
     f"self.train_loss_history = [{SINGLE_PRECISION}]\nall_val_losses=tensor({HELD_OUT})",
     f"losses: {LOSS[:3]}\nlosses: {LOSS[:9]}\nlosses: {LOSS}\nval_loss_list: {HELD_OUT}\nsizes: [64, 64]\n",
     f"training loss [{' '.join(map(str, LOSS[:7]))}\n {' '.join(map(str, LOSS[7:]))}]\nval loss = {HELD_OUT}\n"],
)  # fmt: skip
def test_lists_that_were_printed_whole(printed: str) -> None:
    (run,) = read_log(Path("printed.txt"), printed.encode())
    assert run.train["loss"].tolist() == LOSS and run.train["step"].tolist() == list(range(1, 13))
    assert run.evals["val_loss"].tolist() == HELD_OUT and run.evals["step"].tolist() == [4, 8, 12]
    assert kinds(run) == ["lines_are_steps", "spread_list"]


def test_steps_stand_in_a_list_of_their_own() -> None:
    (run,) = read_log(Path("printed.txt"), f"steps: {COUNT}\nlosses: {LOSS}\n".encode())
    assert run.train["step"].tolist() == COUNT and run.train["loss"].tolist() == LOSS
    (run,) = read_log(Path("printed.txt"), f"x: {COUNT}\ny: {LOSS}\n".encode(), {"step": "x", "loss": "y"})
    assert run.train["step"].tolist() == COUNT and run.train["loss"].tolist() == LOSS


def test_lists_of_one_name_go_on_where_the_one_before_ended() -> None:
    halves = LOSS, [each / 2 for each in LOSS]
    printed = "".join(f"epoch {epoch} train_losses: {half} val_loss {3 - epoch}\n" for epoch, half in enumerate(halves))
    (run,) = read_log(Path("printed.txt"), printed.encode())
    assert run.train["loss"].tolist() == [*halves[0], *halves[1]] and run.train["step"].tolist() == list(range(1, 25))


def test_a_short_list_is_read_where_there_is_nothing_else() -> None:
    assert read_log(Path("printed.txt"), b"train_losses: [4.0, 3.5]\n")[0].train["loss"].tolist() == [4.0, 3.5]
    (run,) = read_log(Path("printed.txt"), b"step 1 loss: [4.0, 4.2]\nstep 2 loss: [3.0, 3.2]\n")
    assert run.train["loss"].tolist() == [4.0, 3.0], "two losses of each step"


def test_lines_with_their_steps_come_before_a_list_without() -> None:
    lines = "".join(f"step {step:.0f} loss {loss} lr 0.1\n" for step, loss in zip(COUNT, LOSS, strict=True))
    (run,) = read_log(Path("printed.txt"), f"{lines}losses = {LOSS}\n".encode())
    assert run.train["step"].tolist() == COUNT and run.train["learning_rate"].tolist() == [0.1] * 12


def test_a_list_without_its_middle_is_refused() -> None:
    with pytest.raises(InputError, match=r"train_loss.*\.tolist\(\)"):
        read_log(Path("printed.txt"), b"train_losses: [10.8 10.1 9.7 ... 2.1 2.0 2.0]\n")


@pytest.mark.parametrize("form", ["{}\n", "{:.18e}\n", "  {}  \n\n"])
def test_numbers_one_after_the_other(form: str) -> None:
    (run,) = read_log(Path("numbers.txt"), "".join(map(form.format, LOSS)).encode())
    assert run.train["loss"].tolist() == LOSS and kinds(run) == ["nameless_list"]
    (named,) = read_log(Path("column.csv"), ("val_losses\n" + "".join(map(form.format, LOSS))).encode())
    assert named.evals["val_loss"].tolist() == LOSS
    rising = "".join(map(form.format, LOSS[::-1])).encode()
    with pytest.raises(InputError, match="--columns loss=1"):
        read_log(Path("numbers.txt"), rising)
    (run,) = read_log(Path("numbers.txt"), rising, {"loss": "1"})
    assert run.train["loss"].tolist() == LOSS[::-1] and kinds(run)[0] == "lines_are_steps"


def test_a_list_that_nothing_names() -> None:
    (run,) = read_log(Path("numbers.txt"), f"{LOSS}\n".encode())
    assert run.train["loss"].tolist() == LOSS and kinds(run) == ["nameless_list"]


def test_a_list_of_pairs() -> None:
    (run,) = read_log(Path("pairs.txt"), f"{list(zip(COUNT, LOSS, strict=True))}\n".encode())
    assert run.train["step"].tolist() == COUNT and run.train["loss"].tolist() == LOSS


@pytest.mark.parametrize(
    "columns",
    [[COUNT, LOSS, [each + 0.5 for each in LOSS]], [COUNT, LOSS, list(range(12))], [COUNT, LOSS[::-1]],
     [[each + 0.5 for each in COUNT], LOSS], [[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048], LOSS]],
)  # fmt: skip
def test_numbers_that_may_mean_several_things_have_to_be_said(columns: list[list[float]]) -> None:
    content = _numbers(" ", *columns)
    with pytest.raises(InputError, match="--columns step=1,loss=2"):
        read_log(Path("numbers.txt"), content)
    (run,) = read_log(Path("numbers.txt"), content, {"step": "1", "loss": "2"})
    assert run.train["loss"].tolist() == columns[1]
    with pytest.raises(InputError, match="has no column 4"):
        read_log(Path("numbers.txt"), content, {"step": "1", "loss": "4"})


def test_numbers_beside_words_that_were_said() -> None:
    text = "NEW RUN\n" + "".join(f"{n} {4 - n / 8} 2024-01-01 12:00:{n:02d} ok\n" for n in range(12))
    (run,) = read_log(Path("train_log.txt"), text.encode(), {"step": "1", "loss": "2"})
    assert run.train["loss"].tolist() == LOSS


def test_a_table_whose_names_were_said_below_other_lines() -> None:
    table = "".join(f"  {n}     {200 * n}    {4 - n / 8}\n" for n in range(12))
    text = f"Pipeline: a, b\nE    #     LOSS NER\n---  ----  --------\n{table}"
    with pytest.raises(InputError, match="E, #, LOSS NER; say"):
        read_log(Path("t.log"), text.encode())
    (run,) = read_log(Path("t.log"), text.encode(), {"step": "#", "loss": "LOSS NER"})
    assert run.train["step"].tolist() == [200 * n for n in range(12)] and run.train["loss"].tolist() == LOSS


def test_parts_of_a_loss_are_paired() -> None:
    text = "epoch,train/box_loss,val/box_loss\n" + "".join(f"{n},{4 - n / 8},{5 - n / 8}\n" for n in range(9))
    (run,) = read_log(Path("results.csv"), text.encode())
    assert run.info["columns"]["train_loss"] == "train/box_loss" and run.info["columns"]["val_loss"] == "val/box_loss"


def test_lists_of_two_lengths() -> None:
    def read(num_evaluations: int) -> Run:
        losses = {"train_loss": LOSS, "val_loss": [3.5, 3.0, 2.5, 2.0, 1.5][:num_evaluations]}
        (run,) = read_log(Path("history.json"), json.dumps(losses).encode())
        return run

    run = read(3)
    assert run.train["loss"].tolist() == LOSS
    assert run.evals["step"].tolist() == [4, 8, 12] and run.evals["val_loss"].tolist() == [3.5, 3.0, 2.5]
    uneven = read(5)  # at which lines these were, nothing says
    assert "val_loss" not in uneven.evals and "uneven_list" in [each["kind"] for each in uneven.info["notes"]]


def test_a_saved_history() -> None:
    run = read(
        ",_step,_runtime,_timestamp,train/global_step,train/loss,eval/loss\n"
        "0,0,1.0,1e9,10,3.0,\n1,1,2.0,1e9,20,2.5,\n2,2,2.0,1e9,20,,2.6\n"
    )
    assert run.train["step"].tolist() == [10.0, 20.0] and run.evals["step"].tolist() == [20.0]
    assert kinds(run) == ["sampled_history"]


# What is no log


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (bytes(range(256)) * 20, "is a binary file"),
        (b"\x00\x01\x02text\x00", "is a binary file"),
        (b"Once upon a time there was a little girl.\nShe had a red ball.\n", "is no log that fabula knows"),
        (b"Once upon a time, there was a fox.\nIt ran, and ran.\n", "is no log that fabula knows"),
        (b"loss,lr\n3.0,1e-3\n", "no column of steps"),
        (b"step,colour\n1,3\n", "no loss, gradient norm or learning rate"),
        (b"step,loss\n", "a header line and nothing below it"),
        (b"1,3.0\n2,2.9\n", "write the names of the columns in a line above them"),
        (b"1 3.0\n2 2.9\n", "write the names of the columns in a line above them"),
        (b"step,loss\n1,3.0\n2,red\n3,2.9\n", '"red" in column loss is not a number'),
        (b"step,loss\n1,3.0\n2\n3,2.9\n", "line 3: 1 cell, but the header has 2"),
        (b"step,loss\n1,\n2,\n", "no line with both a step and a value"),
        (b'{"step":1,"loss":3.0}\n{"step":2,"lo\n{"step":3,"loss":2.0}\n', "line 2: not valid JSON"),
        (b'{"step":1,"loss":3.0}\n[1, 2]\n', "line 2: not a JSON object"),
        (b'{"step":1,"loss":"red"}\n', '"red" in column loss is not a number'),
        (b'{"loss":3.0}\n', "no column of steps"),
        (b'{"step":1', "has no complete line"),
        (b"Step,fox - train/loss,fox - train/loss__MIN\n", "a header line and nothing below it"),
        (b'"Relative Time","fox - loss","fox - loss__MIN"\n1,3.0,2.0\n', "export the chart with steps"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(content: bytes, says: str) -> None:
    with pytest.raises(InputError) as told:
        read_log(Path("given.log"), content)
    assert says in str(told.value) and str(told.value).startswith("given.log")
    assert "\n" not in str(told.value)


def test_text_of_a_windows_shell_is_read() -> None:
    content = "step,loss\r\n1,3.0\r\n2,2.5\r\n"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        (run,) = read_log(Path("log.csv"), content.encode(encoding))
        assert run.train["loss"].tolist() == [3.0, 2.5]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_log_or_a_clear_error(content: bytes) -> None:
    try:
        runs = read_log(Path("given.log"), content)
    except InputError as error:
        assert str(error).startswith("given.log")  # noqa: PT017 - either outcome is right, a traceback is not
    else:
        assert all(len(run.train["step"]) + len(run.evals["step"]) for run in runs)


PIECES = [
    *("step", "loss", "epoch", "train", "val", "1", "1,000", "nan", "inf", "", "2.5", ",", ";", "\t", "\n", "\r", " "),
    *("{", "}", '"', ":", "'", "[", "]", "|", "/", "10/100 [=] - loss: 3", "100%|█| ", '{"step":1,"loss":2}'),
    *(
        '{"log": "step 1 loss 2"}',
        "[[1, 2], [2, 3]]",
        '"x": [1, 2]',
        "tokens",
        "value",
        "\u2502",
        "10it [",
        "Evaluating\n",
        "(t): ",
    ),
    *("{'loss': 2.0}", "iter 5: loss 3.2, ", "step 0: train loss 3, val loss 3", "s:1 trl:2", "[rank0]: ", "Epoch 1/2"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_any_near_log_is_a_log_or_a_clear_error(parts: list[str]) -> None:
    test_any_bytes_are_a_log_or_a_clear_error.hypothesis.inner_test("".join(parts).encode())


# Folders


def test_a_folder_of_loose_logs(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("step,loss\n1,3.0\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"step":1,"loss":4.0}\n', encoding="utf-8")
    (tmp_path / "stories.jsonl").write_text('{"text":"Once"}\n', encoding="utf-8")
    runs, left_out = read_sources(tmp_path)
    assert [run.path.name for run in runs] == ["a.jsonl", "b.csv"]
    (left,) = left_out
    assert "stories.jsonl" in left.why and not left.damaged


def test_folders_without_logs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_sources(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no log in it"):
        read_sources(tmp_path)
    (tmp_path / "stories.jsonl").write_text('{"text":"Once"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="no column of steps"):
        read_sources(tmp_path)


def test_a_damaged_run_among_others_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good" / "checkpoint-9", tmp_path / "bad" / "checkpoint-5"
    for folder, history in ((good, [{"step": 9, "loss": 2.0}]), (bad, [])):
        folder.mkdir(parents=True)
        state = {"global_step": 9, "log_history": history}
        (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
    runs, (left,) = read_sources(tmp_path)
    assert [run.path.name for run in runs] == ["good"]
    assert left.damaged and "log_history is empty" in left.why
    with pytest.raises(InputError, match="log_history is empty"):
        read_sources(tmp_path / "bad")


def test_a_spreadsheets_decimal_commas() -> None:
    (run,) = read_log(Path("log.csv"), b"step;loss\n1;2,5\n2;2,25\n3;2,0e0\n")
    assert run.train["loss"].tolist() == [2.5, 2.25, 2.0]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_log_is_read(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    packed = pack(b"".join(b"step,loss\n1,3.0\n2,2.5\n" if not n else b"%d,2.5\n" % (n + 2) for n in range(2000)))
    (tmp_path / "log.csv.gz").write_bytes(packed)
    (run,), _ = read_sources(tmp_path)
    assert run.train["step"].tolist() == list(range(1, 2002))
    (cut,) = read_log(Path("log.csv.gz"), packed[:-9])
    assert 0 < len(cut.train["step"]) <= 2001, "whoever wrote it was ended"
    with pytest.raises(InputError, match=r"damaged|is a binary file"):
        read_log(Path("log.csv.gz"), packed[:40] + bytes(20) + packed[60:])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04 log.csv", "unpack it"),
        (b"PK\x03\x04..[Content_Types].xml", "save the sheet"),
        (b"7z\xbc\xaf", "unpack"),
    ],
)
def test_what_has_to_be_unpacked_first(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_log(Path("log"), content)


def test_a_folder_in_which_no_file_is_called_a_log(tmp_path: Path) -> None:
    (tmp_path / "slurm-1.out").write_text("step 1 loss 3.0\nstep 2 loss 2.5\n", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"lr": 0.1}', encoding="utf-8")
    (run,), (left,) = read_sources(tmp_path)
    assert run.path.name == "slurm-1.out" and "config.json" in left.why and not left.damaged
