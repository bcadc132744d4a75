# ruff: noqa: E501 - lines as they are logged
"""What the lines of a table say: how many runs they are of, which step each has, and its numbers, however written."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from fabula.errors import InputError
from fabula.record.foreign import read_log, read_sources
from fabula.record.foreign.names import columns_said
from fabula.record.reader import Run


def fall(step: float) -> float:
    return round(2 + 8 * math.exp(-step / 30), 4)


def table(header: str, rows: Iterable[tuple[object, ...]]) -> str:
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def runs(text: str, name: str = "log.csv") -> list[Run]:
    return read_log(Path(name), text.encode())


def read(text: str, name: str = "log.csv") -> Run:
    (run,) = runs(text, name)
    return run


def kinds(run: Run) -> list[str]:
    return [each["kind"] for each in run.info["notes"]]


# A table of runs


LISTINGS = {
    "W&B": table("Name,State,Created,Runtime,iter,train/loss", [(f"r{n}", "finished", "2025", 7, 900 + n, 2.5) for n in range(3)]),
    "one run of W&B": table("Name,State,Created,iter,loss", [("r", "crashed", "2025", 5000, 2.5)]),
    "MLflow": table("Start Time,Duration,Run ID,Name,Status,lr,loss", [("2025", "1h", f"a{n}", "x", "FINISHED", 0.1, 2.5) for n in range(3)]),
    "search_runs": table("run_id,experiment_id,status,metrics.loss", [(f"a{n}", 1, "FINISHED", 2.5) for n in range(3)]),
    "HParams": table("Trial ID,lr,loss/val", [(f"t{n}", 0.1 * n, 2.5) for n in range(3)]),
    "by hand": table("name,lr,val_loss", [("base", 0.1, 2.5), ("muon", 0.1, 2.4)]),
    "by hand, of several sizes": table("model,steps,val_loss", [("small", 5000, 3.2), ("medium", 9000, 2.9), ("large", 20000, 2.5)]),
    "all of one length": table("lr,iter,val_loss", [(0.1, 5000, 3.1), (0.2, 5000, 3.2), (0.3, 5000, 3.3)]),
    "seeds": table("seed,step,val_loss", [(0, 900, 3.1), (1, 900, 3.2)]),
    "JSON": json.dumps([{"name": f"r{n}", "summary": {"loss": 2.5, "_step": 100 - n}} for n in range(3)]),
    "Markdown": "| model | steps | val loss |\n|---|---:|---:|\n| base | 900 | 3.2 |\n| muon | 900 | 3.1 |\n",
}  # fmt: skip


@pytest.mark.parametrize("what", LISTINGS)
def test_a_table_of_runs_is_no_run(what: str) -> None:
    with pytest.raises(InputError, match=r"table of runs \(\d runs?.*shows no run's course; (give|export)"):
        runs(LISTINGS[what])


@pytest.mark.parametrize(
    "text",
    [
        table("checkpoint,step,val_loss", [(f"ckpt-{n}.pt", n, fall(n)) for n in range(100, 900, 100)]),
        table("model,step,val_loss", [(f"model_{n}", n, fall(n)) for n in range(100, 900, 100)]),
        table("id,step,loss", [(n, n * 10, fall(n)) for n in range(1, 9)]),
        table("time,step,loss,name", [(f"10:0{n}", n, fall(n), "mine") for n in range(1, 9)]),
        table("step,loss,eta", [(n, fall(n), f"0:{k}:00") for k, n in enumerate([*range(1, 60), *range(50, 80)])]),
    ],
)
def test_a_course_whose_lines_have_names_is_a_run(text: str) -> None:
    run = read(text)
    assert len(run.train["step"]) + len(run.evals["step"]) == text.count("\n") - 1


# Several runs in a file


def test_a_column_that_changes_where_the_steps_go_back_tells_runs_apart() -> None:
    rows = [(name, n, fall(n)) for name in "abc" for n in range(1, 21)]
    rows += [(name, n, fall(n)) for name in "ba" for n in range(21, 41)]  # round two, in another order
    told = runs(table("variant,step,loss", rows))
    assert [run.info["name"] for run in told] == ["variant a", "variant b", "variant c"]
    assert [len(run.train["step"]) for run in told] == [40, 40, 20]
    assert all(kinds(run) == ["variants"] and run.events == [] for run in told)


@pytest.mark.parametrize(
    ("header", "rows", "names"),
    [
        ("step,model,loss", [(n, name, fall(n)) for n in range(20) for name in ("base", "muon")], ["model base", "model muon"]),
        ("seed,step,loss", [(seed, n, fall(n)) for seed in (0, 1) for n in range(20)], ["seed 0", "seed 1"]),
        ("lr,step,loss", [(rate, n, fall(n)) for rate in (0.1, 0.3) for n in range(20)], ["lr 0.1", "lr 0.3"]),
        ("model,epoch,step,loss", [(name, e, n, fall(n)) for name in "xy" for e in (0, 1) for n in range(20)], ["model x", "model y"]),
        ("model,seed,step,loss", [(name, seed, n, fall(n)) for name in "xy" for seed in (0, 1) for n in range(20)],
         ["model x, seed 0", "model x, seed 1", "model y, seed 0", "model y, seed 1"]),
    ],
)  # fmt: skip
def test_columns_that_tell_runs_apart(header: str, rows: list[tuple[object, ...]], names: list[str]) -> None:
    told = runs(table(header, rows))
    assert sorted(str(run.info["name"]) for run in told) == names
    assert {len(run.train["step"]) for run in told} == {len(rows) // len(names)}


def test_a_resume_is_one_run_whatever_else_changes_there() -> None:
    rows = [("one", n, fall(n)) for n in range(1, 61)] + [("two", n, fall(n)) for n in range(51, 100)]
    for column in ("run_id", "attempt", "host"):
        run = read(table(f"{column},step,loss", rows))
        assert kinds(run) == ["resumed"] and "name" not in run.info


def test_of_several_processes_the_first_is_read() -> None:
    run = read(table("rank,step,loss", [(rank, n, fall(n) + rank) for n in range(20) for rank in (1, 0)]))
    assert run.train["loss"].tolist() == [fall(n) for n in range(20)] and "first_rank" in kinds(run)


def test_a_column_that_names_the_split_tells_losses_apart() -> None:
    rows = [(n, split, fall(n) + (split == "val")) for n in range(1, 21) for split in ("train", "val")]
    run = read(table("step,split,loss", rows))
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 21)]
    assert run.evals["val_loss"].tolist() == [fall(n) + 1 for n in range(1, 21)] and kinds(run) == ["splits_on_lines"]


@pytest.mark.parametrize(
    "names",
    [("loss_mean", "val_loss_mean"), ("main/loss", "validation/main/loss"), ("trn_loss", "vld_loss"),
     ("train", "held-out"), ("loss_raw", "valid_loss")],
)  # fmt: skip
def test_names_of_two_splits(names: tuple[str, str]) -> None:
    run = read(table(f"iteration,{names[0]},{names[1]}", [(n, fall(n), fall(n) + 1) for n in range(1, 9)]))
    there = run.train if "loss" in run.train else run.evals
    assert there["loss" if "loss" in there else "train_loss"].tolist() == [fall(n) for n in range(1, 9)]
    assert run.evals["val_loss"].tolist() == [fall(n) + 1 for n in range(1, 9)]


@pytest.mark.parametrize(
    "words", [("train", "val"), ("train", "validate"), ("step done", "evaluation done"), ("epoch", "validation epoch")]
)
def test_words_of_an_event_tell_evaluations(words: tuple[str, str]) -> None:
    lines = [{"event": words[0], "step": n, "loss": fall(n), "lr": 0.1} for n in range(1, 9)]
    lines[4:4] = [{"event": words[1], "step": 4, "loss": fall(4) + 1}]
    run = read("\n".join(map(json.dumps, lines)), "log.jsonl")
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 9)]
    assert run.evals["step"].tolist() == [4] and run.evals["val_loss"].tolist() == [fall(4) + 1]


@pytest.mark.parametrize("filler", ["nan", "0", "-1.0", "0.0"])
def test_what_stands_between_evaluations_is_no_loss(filler: str) -> None:
    rows = [(n, fall(n), filler if n % 5 else fall(n) + 1) for n in range(1, 41)]
    run = read(table("step,loss,val_loss", rows))
    assert run.evals["step"].tolist() == list(range(5, 41, 5)) and kinds(run) == ["placeholders"]
    apart = [(n, filler if n % 5 == 0 else fall(n), filler if n % 5 else fall(n) + 1) for n in range(1, 41)]
    run = read(table("step,loss,val_loss", apart))
    assert run.train["step"].tolist() == [n for n in range(1, 41) if n % 5] and np.isfinite(run.train["loss"]).all()
    waits = read(table("step,loss,val_loss", [(n, fall(n), "inf" if n < 10 else fall(n)) for n in range(1, 41)]))
    assert waits.evals["step"].tolist() == list(range(10, 41))


def test_losses_that_are_lost_stay_lost() -> None:
    for lost in (lambda n: n > 20, lambda n: n in (7, 8, 19), lambda n: n >= 7 and n not in (11, 12, 20)):
        rows = [(n, fall(n), "nan" if lost(n) else fall(n) + 1) for n in range(1, 41)]
        run = read(table("step,loss,val_loss", rows))
        assert np.isinf(run.evals["val_loss"]).sum() == sum(map(lost, range(1, 41)))
    run = read(table("step,loss", [(n, "nan" if n % 2 else fall(n)) for n in range(1, 41)]))
    assert np.isinf(run.train["loss"]).sum() == 20


def test_a_line_for_each_metric() -> None:
    rows = [(n, tag, value) for n in range(1, 9) for tag, value in (("train/loss", fall(n)), ("lr", 1e-3))]
    run = read(table("step,tag,value", rows))
    assert (
        run.train["loss"].tolist() == [fall(n) for n in range(1, 9)]
        and run.train["learning_rate"].tolist() == [1e-3] * 8
    )


def test_lines_of_several_kinds_in_json() -> None:
    lines = [{"type": "config", "note": "mine"}]
    for n in range(1, 9):
        lines += [{"type": "train", "step": n, "loss": fall(n)}, {"type": "eval", "step": n, "loss": fall(n) + 1}]
    run = read("\n".join(map(json.dumps, lines)), "log.jsonl")
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 9)]
    assert run.evals["val_loss"].tolist() == [fall(n) + 1 for n in range(1, 9)]


def test_lines_with_the_newest_first_and_an_id_each() -> None:
    lines = [
        {"id": f"event-{n * 7 % 61}x", "message": f"Step {n}", "data": {"step": n, "train_loss": fall(n)}}
        for n in range(60, 0, -1)
    ]
    run = read("\n".join(map(json.dumps, lines)), "events.jsonl")
    assert run.train["step"].tolist() == list(range(1, 61)) and run.train["loss"][0] == fall(1)


@pytest.mark.parametrize(
    "whole",
    [
        {"loss": [fall(n) for n in range(1, 9)], "params": {}},
        {"args": {"lr": 0.1}, "history": [{"step": n, "loss": fall(n)} for n in range(1, 9)]},
        {str(n): {"loss": fall(n)} for n in range(1, 9)},
        {"step": {str(n): n + 1 for n in range(8)}, "loss": {str(n): fall(n + 1) for n in range(8)}},
        {"lr": 0.1, "loss": [[n, fall(n)] for n in range(1, 9)]},
        [{"name": "loss", "x": list(range(1, 9)), "y": [fall(n) for n in range(1, 9)], "type": "scatter"}],
        {"run": {"steps": list(range(1, 9)), "loss": [fall(n) for n in range(1, 9)]}},
        {"loss": {"train": {"name": "train", "x": list(range(1, 9)), "y": [fall(n) for n in range(1, 9)]}}},
        [{"insertId": n, "jsonPayload": {"message": f"step {n} loss {fall(n)}"}} for n in range(1, 9)],
    ],
)
def test_one_json_object_over_several_lines(whole: object) -> None:
    run = read(json.dumps(whole, indent=1), "history.json")
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 9)] and run.train["step"].tolist() == list(
        range(1, 9)
    )


@pytest.mark.parametrize(
    "lines",
    [
        [f'{{"step": {n}, "loss": {fall(n)}}},' for n in range(1, 9)],
        ["[", *(f' {{"step": {n}, "loss": {fall(n)}}},' for n in range(1, 9)), ' {"step": 9, "lo'],
        [json.dumps({"log": f"step {n} | loss {fall(n)}\n", "stream": "stdout"}) for n in range(1, 9)],
        [json.dumps({"levelname": "INFO", "message": f"step {n}: loss={fall(n)}"}) for n in range(1, 9)],
        [json.dumps({"globalStep": n, "metrics": {"train": {"loss": fall(n)}}}) for n in range(1, 9)],
        [json.dumps({"global_step/max_steps": f"{n}/8", "loss": fall(n), "epoch": n / 8}) for n in range(1, 9)],
        [json.dumps({"metricName": "loss", "metricValue": str(fall(n)), "step": n}) for n in range(1, 9)],
    ],
)
def test_json_as_other_programs_write_it(lines: list[str]) -> None:
    run = read("\n".join(lines), "log.json")
    assert run.train["step"].tolist() == list(range(1, 9))
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 9)]


ROWS = range(1, 10)
DRAWN = {
    "units": ("step,loss,lr\ncount,nats,[-]\n", "{0},{1},0.1\n", ""),
    "two lines of names": ("step,train,train,val\n,acc,loss,loss\n", "{0},0.5,{1},{2}\n", ""),
    "MATLAB": ("| Iteration | Mini-batch | Mini-batch | Validation |\n|    | Accuracy | Loss | Loss |\n|======|\n", "| {0} | 10% | {1} | {2} |\n", ""),
    "R": ("   epoch  loss val_loss\n", "{0:<3} {0:6d} {1:.4f} {2:.4f}\n", ""),
    "R's tibble": ("# A tibble: 9 x 3\n  epoch  loss val_loss\n  <int> <dbl>    <dbl>\n", "{0} {0:6d}  {1:.4f}   {2:.4f}\n", ""),
    "psql": (" step |  loss  | val_loss \n------+--------+------\n", " {0:4d} | {1} | {2}\n", "(9 rows)\n"),
    "pandas": ("   step    loss\n", "{0:<3} {0:3d}  {1:.4f}\n", "\n[9 rows x 2 columns]\n"),
    "colours": ("  epoch    train_loss    valid_loss\n-------  ----------  ----------\n", "  {0:5d}      \x1b[36m{1:.4f}\x1b[0m      \x1b[35m{2:.4f}\x1b[0m\n", ""),
    "LaTeX": ("\\begin{{tabular}}{{lll}}\n\\toprule\nStep & Train loss & Val loss \\\\\n\\midrule\n", "{0} & {1} & {2} \\\\\n", "\\bottomrule\n\\end{{tabular}}\n"),
    "a page": ("<html><table><tr><th>Step</th><th>Loss</th></tr>\n", "<tr><td>{0}</td><td>{1}</td></tr>\n", "</table></html>\n"),
    "bold": ("# Mine\n\n| Step | Loss |\n|---|---|\n", "| {0} | **{1}** |\n", "The end.\n"),
    "bold lines": ("", "**Step {0}**: loss `{1}`\n", ""),
    "XML": ("<log>\n", "<entry><step>{0}</step><loss>{1}</loss></entry>\n", "</log>\n"),
    "a logger of Go": ("", '2024-01-01T10:00:0{0}Z\tinfo\ttrain/loop.go:12\ttrain step\t{{"step": {0}, "loss": {1}}}\n', '2024-01-01T10:00:00Z\tinfo\ttrain/eval.go:9\teval\t{{"step": 9, "loss": 9.5}}\n'),
    "rates in thousandths": ("step,loss,Learning Rate (x1e-3),lr (%)\n", "{0},{1},0.5,0.05\n", ""),
}  # fmt: skip
"""What stands above the rows, a row with a step and its losses, and what stands below the rows."""


@pytest.mark.parametrize("what", DRAWN)
def test_tables_as_other_programs_draw_them(what: str) -> None:
    above, row, below = DRAWN[what]
    text = above.format() + "".join(row.format(n, fall(n), round(fall(n) + 1, 4)) for n in ROWS) + below.format()
    run = read(text, "log.txt")
    there = run.train if "loss" in run.train else run.evals
    losses = there["loss" if "loss" in there else "train_loss"]
    assert there["step"].tolist() == list(ROWS) and losses.tolist() == [fall(n) for n in ROWS]
    if "{2" in row:
        assert run.evals["val_loss"].tolist() == [pytest.approx(fall(n) + 1) for n in ROWS]
    assert "learning_rate" not in run.train or run.train["learning_rate"].tolist() == [0.1] * 9


def test_a_table_without_its_middle_is_refused() -> None:
    text = "   step  loss\n0     1   4.0\n1     2   3.9\n..  ...   ...\n8     9   2.0\n9    10   1.9\n"
    with pytest.raises(InputError, match=r"line 4: .*left out.*to_string"):
        runs(text, "log.txt")


# Epochs


@pytest.mark.parametrize(
    ("inside", "base", "steps"),
    [
        (range(100), 0, 100), (range(1, 101), 1, 100), (range(10, 101, 10), 1, 100), (range(0, 100, 5), 0, 100),
        (range(1, 1000, 50), 1, 1000), ([*range(0, 1000, 50), 999], 0, 1000),
    ],
)  # fmt: skip
def test_steps_within_epochs_are_put_one_after_the_other(inside: Iterable[int], base: int, steps: int) -> None:
    run = read(table("epoch,step,loss", [(e, n, fall(n)) for e in range(base, base + 3) for n in inside]))
    assert run.train["step"].tolist() == [e * steps + n for e in range(3) for n in inside]
    assert "steps_within_epochs" in kinds(run) and run.info["layout"]["epochs"] == pytest.approx(3, abs=0.1)


def test_evaluations_at_the_ends_of_epochs() -> None:
    rows: list[tuple[object, ...]] = []
    for epoch in range(1, 4):
        rows += [*((epoch, n, fall(n), "") for n in range(10, 101, 10)), (epoch, "", "", fall(epoch))]
    run = read(table("epoch,step,loss,val_loss", rows))
    assert run.evals["step"].tolist() == [100, 200, 300] and run.train["step"].tolist() == list(range(10, 301, 10))


def test_the_length_of_an_epoch_that_the_log_says() -> None:
    lines = [{"epoch": e, "step": n, "total_steps": 97, "loss": fall(n)} for e in (0, 1) for n in range(0, 97, 10)]
    run = read("\n".join(map(json.dumps, lines)), "log.jsonl")
    assert run.train["step"].tolist() == [e * 97 + n for e in (0, 1) for n in range(0, 97, 10)]


def test_epochs_beside_steps_that_go_on_say_how_many_there_were() -> None:
    run = read(table("step,epoch,loss", [(n, (n - 1) // 20, fall(n)) for n in range(1, 101)]))
    assert run.train["step"].tolist() == list(range(1, 101)) and run.train["epoch"].tolist()[::20] == [0, 1, 2, 3, 4]
    assert run.info["layout"]["epochs"] == pytest.approx(5)


def test_steps_that_begin_anew_while_the_loss_goes_on_are_of_one_run() -> None:
    course = read(table("step,loss", [(n % 20, fall(n)) for n in range(80)]))
    assert course.train["step"].tolist() == list(range(80)) and "steps_within_epochs" in kinds(course)
    printed = read("".join(f"step {n % 20 + 1}/20 loss {fall(n)}\n" for n in range(80)), "train.log")
    assert printed.train["step"].tolist() == list(range(1, 81)) and printed.info["layout"]["epochs"] == pytest.approx(4)
    again = read(table("step,loss", [(n % 40, fall(n % 40) - n // 40) for n in range(80)]))
    assert again.train["step"].tolist() == list(range(40)) and "several_runs" in kinds(again)


def test_where_nothing_else_counts_epochs_do() -> None:
    run = read(table("epoch,loss,val_loss", [(n, fall(n), fall(n)) for n in range(10)]))
    assert run.train["step"].tolist() == list(range(10)) == run.evals["step"].tolist()
    assert "epochs_are_steps" in kinds(run)
    again = read(table("epoch,loss", [(n, fall(n)) for n in (*range(1, 12), *range(11, 21))]))
    assert again.train["step"].tolist() == [*range(1, 12), *range(11, 21)]
    several = read(table("epoch,loss", [(n // 5, fall(n)) for n in range(20)]))
    assert several.train["step"].tolist() == list(range(1, 21)) and "lines_are_steps" in kinds(several)
    batches = read(table("epoch,batch,loss", [(n, 32, fall(n)) for n in range(10)]))
    assert batches.train["step"].tolist() == list(range(10))


def test_where_nothing_else_counts_tokens_do() -> None:
    run = read(table("tokens,loss,lr", [(n * 4096, fall(n), 0.1) for n in range(1, 20)]))
    assert run.train["step"].tolist() == [n * 4096 for n in range(1, 20)] and kinds(run)[0] == "tokens_are_steps"
    with pytest.raises(InputError, match="no column of steps"):
        runs(table("params,tokens,loss", [(10**6, n * 4096, fall(n)) for n in range(1, 20)]))
    chart = "".join(f'"{n * 4096}","{fall(n)}","1","9"\n' for n in range(1, 20))
    run = read(f'"tokens","fox - loss","fox - loss__MIN","fox - loss__MAX"\n{chart}')
    assert run.train["step"].tolist() == [n * 4096 for n in range(1, 20)] and kinds(run)[-1] == "tokens_are_steps"


def test_what_llama_factory_calls_its_steps() -> None:
    lines = [
        {"current_steps": n, "total_steps": 1000, "loss": fall(n), "lr": 1e-4, "epoch": n / 500}
        for n in range(10, 60, 10)
    ]
    run = read("\n".join(map(json.dumps, lines)), "trainer_log.jsonl")
    assert run.train["step"].tolist() == [10, 20, 30, 40, 50] and run.info["steps"] == 1000


# Numbers


@pytest.mark.parametrize(
    "written",
    [
        lambda n: f"{n:,}".replace(",", "."), lambda n: f"{n:,}".replace(",", " "), lambda n: f"{n:,}".replace(",", "\u202f"),
        lambda n: f"{n:,}".replace(",", "'"), lambda n: f"{n:_}", lambda n: f'"{n:,}"', lambda n: f"{n}.0",
    ],
)  # fmt: skip
def test_thousands_in_steps(written: Callable[[int], str]) -> None:
    run = read(table("step,loss", [(written(n), fall(n)) for n in range(0, 3000, 50)]))
    assert run.train["step"].tolist() == list(range(0, 3000, 50))


def test_a_file_that_writes_decimals_with_commas() -> None:
    rows = [f"{n:,}".replace(",", ".") + ";" + f"{fall(n):.3f}".replace(".", ",") for n in range(0, 3000, 50)]
    run = read("step;loss\n" + "\n".join(rows) + "\n")
    assert run.train["step"].tolist() == list(range(0, 3000, 50))
    assert run.train["loss"].tolist() == [round(fall(n), 3) for n in range(0, 3000, 50)]


def test_steps_that_can_be_read_in_two_ways_are_refused() -> None:
    whole = read(table("step,loss", [(f'"{n:,}"', fall(n)) for n in range(2500, 9000, 2500)]))
    assert whole.train["step"].tolist() == [2500, 5000, 7500], "2.5 is no number of steps"
    rows = [(f"{n:,}".replace(",", "."), 3) for n in range(1000, 9000, 1000)]
    with pytest.raises(InputError, match=r'"1\.000" in column step can be 1000 or a decimal number'):
        runs(table("step,loss", rows))


@pytest.mark.parametrize("lost", ["-nan(ind)", "NaN32", "1.#QNAN", "#NUM!", "-Infinity", "1e999"])
def test_numbers_that_are_lost_however_they_are_written(lost: str) -> None:
    run = read(table("step,loss", [(n, fall(n) if n < 9 else lost) for n in range(1, 12)]))
    assert np.isinf(run.train["loss"]).tolist() == [n >= 9 for n in range(1, 12)]


def test_numbers_in_a_wrapping() -> None:
    text = 'step,loss,tokens\n1,"tensor(2.5, device=\'cuda:0\')",16.4K\n2,np.float64(2.25),"32,768"\n3,[2.0],49K\n'
    run = read(text)
    assert run.train["loss"].tolist() == [2.5, 2.25, 2.0] and run.train["tokens"].tolist() == [16400, 32768, 49000]


def test_losses_in_bits_and_perplexities() -> None:
    bits = read(table("step,loss,ppl", [(n, fall(n) / math.log(2), math.exp(fall(n))) for n in range(9)]))
    assert bits.train["loss"].tolist() == pytest.approx([fall(n) for n in range(9)]) and "bits_as_nats" in kinds(bits)
    nats = read(table("step,loss,ppl", [(n, fall(n), math.exp(fall(n))) for n in range(9)]))
    assert nats.train["loss"].tolist() == [fall(n) for n in range(9)] and kinds(nats) == []
    alone = read(table("step,val_ppl", [(n, math.exp(fall(n))) for n in range(9)]))
    assert alone.evals["val_loss"].tolist() == pytest.approx([fall(n) for n in range(9)])
    assert "loss_of_perplexity" in kinds(alone)


def test_a_perplexity_beside_validation_losses_alone_is_theirs() -> None:
    run = read(table("epoch,perplexity,eval_loss", [(n, math.exp(fall(n)), fall(n)) for n in range(9)]))
    assert not len(run.train["step"]) and run.evals["val_loss"].tolist() == [fall(n) for n in range(9)]


def test_decimals_of_steps_beside_decimals_of_losses() -> None:
    run = read(table("step,loss", [(f"{n}.000", f"{fall(n):.3f}") for n in range(1, 20)]))
    assert run.train["step"].tolist() == list(range(1, 20))


# Looks of tables


@pytest.mark.parametrize(
    "text",
    [
        "| Training Loss | Step |\n|:---:|:---:|\n| No log | 1 |\n| 3.5 | 2 |\n| 3.0 | 3 |\n",
        "epoch  train_loss  time\n2      3.5         00:10\n3      3.0         00:10\n",
        "    step      loss\n0      2  3.500000\n1      3  3.000000\n",
        "# step loss\n2 3.5\n3 3.0\n",
        "Step\tTraining Loss\n2\t3.5\n3\t3.0\n",
        "Step  Training Loss\n2  3.5\n3  3.0\n",
        "Seed set to 42\nstep,loss (nats)\n2,3.5\n3,3.0\nsaved, and done, too\n",
        " [ 3/9 10:00 < 20:00, 0.8 it/s, Epoch 1/3]\nStep\tTraining Loss\n2\t3.5\n3\t3.0\n",
        "step,loss\nstep 2,3.5\nstep 3,3.0\n",
        "iter;loss\n2/9;3.5\n3/9;3.0\n",
        "step,loss\n2,3.5\nstep,loss,lr\n3,3.0,0.1\n",
        "sep=;\nstep;loss\n2;3,5\n3;3,0\n",
        "My run;\n;\nstep;loss\n2;3,5\n3;3,0\n;\n",
        '"step", "train loss"\n"2", "3.5"\n"3", "3.0"\n',
        "step,loss\n2,3.5,\n3,3.0,\n",
        "step,loss\r2,3.5\r3,3.0\r",
        "+------+------+\n| step | loss |\n+======+======+\n| 2    | 3.5  |\n+------+------+\n| 3    | 3.0  |\n+------+------+\n",
        "done 5 %\n┌──────┬──────┐\n│ step │ loss │\n├──────┼──────┤\n│ 2    │ 3.5  │\n│ 3    │ 3.0  │\n└──────┴──────┘\n",
    ],
)
def test_tables_as_people_paste_them(text: str) -> None:
    run = read(text)
    assert run.train["loss"].tolist() == [3.5, 3.0] and run.train["step"].tolist() == [2, 3]


def test_lines_that_lack_the_last_columns() -> None:
    rows = "".join(f"{n},{fall(n)},{fall(n) + 1}\n" if n % 5 == 0 else f"{n},{fall(n)}\n" for n in range(1, 41))
    run = read("step,loss,val_loss\n" + rows)
    assert run.train["loss"].tolist() == [fall(n) for n in range(1, 41)]
    assert run.evals["step"].tolist() == list(range(5, 41, 5))
    with pytest.raises(InputError, match="line 42: 2 cells, but the header has 3"):
        runs("step,loss,val_loss\n" + "".join(f"{n},{fall(n)},{fall(n)}\n" for n in range(1, 41)) + "41,2.0\n42,1,1\n")


# Columns that are said


def test_columns_are_said_where_their_names_say_too_little() -> None:
    text = table("gradus,damnum,loss", [(n, fall(n), 0) for n in range(9)])
    with pytest.raises(InputError, match="--columns step=NAME"):
        runs(text)
    (run,) = read_log(Path("log.csv"), text.encode(), columns_said("step=Gradus,loss=damnum"))
    assert run.train["loss"].tolist() == [fall(n) for n in range(9)]
    assert run.info["columns"] == {"step": "gradus", "loss": "damnum"}
    with pytest.raises(InputError, match=r"has no column rate .* its columns are: gradus, damnum, loss"):
        read_log(Path("log.csv"), text.encode(), {"step": "gradus", "learning_rate": "rate"})


@pytest.mark.parametrize("text", ["gradus", "step=", "colour=red", "=x", ""])
def test_columns_that_are_not_written_so(text: str) -> None:
    with pytest.raises(InputError, match="--columns cannot read"):
        columns_said(text)


# What is no log


@pytest.mark.parametrize(
    "name", ["log.csv", "log.jsonl", "events.out.tfevents.1.host", "trainer_state.json", "train.log"]
)
def test_a_pointer_of_git_lfs(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 9\n", encoding="utf-8"
    )
    for given in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match="run git lfs pull"):
            read_sources(given)


def test_a_web_page_in_place_of_a_log() -> None:
    for page in ("<!DOCTYPE html>\n<html><body>step,loss</body></html>", "\n <html lang=en>\n<head></head></html>"):
        with pytest.raises(InputError, match="is a web page"):
            runs(page)


# Notebooks


def test_the_outputs_of_a_notebook() -> None:
    shown = "<table><thead><tr><th>Step</th><th>Training Loss</th></tr></thead><tbody>" + "".join(
        f"<tr><td>{n}</td><td>{fall(n)}</td></tr>" for n in range(1, 9)
    )
    outputs = [
        [{"output_type": "stream", "text": [f"step {n} loss {fall(n)}\n" for n in range(1, 9)]}],
        [{"output_type": "display_data", "data": {"text/html": [shown, "</tbody></table>"], "text/plain": ["<HTML>"]}}],
        [{"output_type": "stream", "text": ["done\n"]}],
    ]
    book = {"cells": [{"cell_type": "code", "outputs": each} for each in outputs], "nbformat": 4}
    told = runs(json.dumps(book, indent=1), "mine.ipynb")
    assert [run.train["loss"].tolist() for run in told] == [[fall(n) for n in range(1, 9)]] * 2
    assert [run.info["name"] for run in told] == ["output 1", "output 2"]
    with pytest.raises(InputError, match="is a notebook, and no cell's output is a log"):
        runs(json.dumps({"cells": [], "nbformat": 4}), "mine.ipynb")
