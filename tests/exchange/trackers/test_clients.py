"""Each tracker is written to by its own client and read back by its own tools, offline, in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WRITE = """
import json, sys
from pathlib import Path
from fabula.cli import run
from tests.exchange.trackers.recorded import begun, make_steps
folder = Path(sys.argv[2])
with begun(folder) as writer:
    make_steps(writer, 0, 20)
    writer.close("interrupted")
assert run(["export", str(folder), "--to", sys.argv[1]]) == 0
with open(folder / "metrics.jsonl", "ab") as metrics, open(folder / "samples.jsonl", "ab") as samples:
    writer._files |= {"metrics": metrics, "samples": samples}
    make_steps(writer, 21, 40)
writer.set_info(status="finished", steps_done=40)
for _ in range(2):  # what is told is not told again
    assert run(["export", str(folder), "--to", sys.argv[1]]) == 0
"""
READ = {
    "tensorboard": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
read = EventAccumulator(sys.argv[2], size_guidance={"scalars": 0, "tensors": 0}).Reload()
texts = {tag: [each.tensor_proto.string_val[0].decode() for each in read.Tensors(tag)]
         for tag in read.Tags()["tensors"] if not tag.startswith("_")}
print(json.dumps({
    "losses": [[each.step, each.value] for each in read.Scalars("train/loss")],
    "val": [each.step for each in read.Scalars("val/loss")],
    "texts": texts, "configuration": texts["recipe"][0], "group": "no such thing", "status": "finished",
}))
""",
    "wandb": """
import glob
from wandb.proto.wandb_internal_pb2 import Record  # the package has no reader in Python since its core is Go
from fabula.record.foreign.stores import wandb_offline
losses, val, texts, configuration, group, status = [], [], {}, {}, "", ""
files = sorted(glob.glob("wandb/offline-run-*/*.wandb"))
assert len(files) == 2 and len({file.rpartition("/")[2] for file in files}) == 1, "one run: a server joins them by id"
contents = [each for file in files for each in wandb_offline.records(file, open(file, "rb").read())]
for record in map(Record.FromString, contents):
    if record.run.run_group:
        group = record.run.run_group
    for item in record.run.config.update:
        configuration[item.key] = json.loads(item.value_json)
    line = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
    if "train/loss" in line:
        losses.append([line["step"], line["train/loss"]])
    val += [line["step"]] if "val/loss" in line else []
    for item in record.summary.update:
        if item.key == "findings" or "findings" in item.nested_key:
            texts["findings"] = [json.loads(item.value_json)]
    if record.HasField("alert"):
        texts.setdefault("alerts", []).append(record.alert.title)
    if record.HasField("exit"):
        status = "finished" if record.exit.exit_code == 0 else "failed"
for table in sorted(glob.glob("wandb/offline-run-*/files/media/table/*.json")):
    for _, name, text in json.load(open(table))["data"]:
        texts.setdefault(name, []).append(text)
print(json.dumps({"losses": losses, "val": val, "texts": texts, "configuration": configuration, "group": group,
                  "status": status}))
""",
    "trackio": """
import trackio
(run,) = trackio.Api().runs("fabula")
from trackio import context_vars
from trackio.sqlite_storage import SQLiteStorage
texts = {}
for line in SQLiteStorage.get_logs("fabula", run.name):
    for name, value in line.items():
        if isinstance(value, dict) and value.get("_type") == "trackio.markdown":
            texts.setdefault(name, []).append(value["_value"])
lines = sorted((line for line in SQLiteStorage.get_logs("fabula", run.name) if "train/loss" in line),
               key=lambda line: line["step"])
config = SQLiteStorage.get_run_config("fabula", run.name)
run_as_told = json.dumps({
    "losses": [[line["step"], line["train/loss"]] for line in lines],
    "val": sorted(line["step"] for line in SQLiteStorage.get_logs("fabula", run.name) if "val/loss" in line),
    "texts": texts, "configuration": config, "group": config["_Group"], "status": "finished",
}, default=str)
context_vars.current_run.set(None)  # or its own last words come after ours
print(run_as_told)
""",
    "mlflow": """
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("fabula")
(run,) = client.search_runs([experiment.experiment_id])
id = run.info.run_id
texts = {"findings": [open(client.download_artifacts(id, "findings.md")).read()]}
for folder in client.list_artifacts(id, "completions"):
    files = client.list_artifacts(id, folder.path)
    texts[folder.path] = [open(client.download_artifacts(id, file.path)).read() for file in files]
texts["alerts"] = [key for key in run.data.tags if key.startswith("finding.")]
print(json.dumps({
    "losses": sorted([each.step, each.value] for each in client.get_metric_history(id, "train/loss")),
    "val": sorted(each.step for each in client.get_metric_history(id, "val/loss")),
    "texts": texts, "configuration": run.data.params, "group": run.data.tags.get("fabula.group"),
    "status": run.info.status.lower(),
}))
""",
    "aim": """
import aim
from aim.sdk.index_manager import RepoIndexManager
repo = aim.Repo.from_path(".")
(hash,) = repo.list_all_runs()
RepoIndexManager.get_index_manager(repo).index(hash)  # as `aim up` does
run = aim.Run(hash, repo=".", read_only=True)
metrics = {(each.context.to_dict()["subset"], each.name): each.data.view("val").items_list() for each in run.metrics()}
texts = {}
for each in run.collect_sequence_info(("texts",))["texts"]:
    sequence = run.get_text_sequence(each["name"], aim.storage.context.Context(each["context"]))
    texts.setdefault(each["name"], []).extend(text.data for text in sequence.data.view("val").items_list()[1][0])
print(json.dumps({
    "losses": list(zip(metrics["train", "loss"][0], metrics["train", "loss"][1][0])), "val": metrics["val", "loss"][0],
    "texts": texts, "configuration": run["recipe"], "group": run["group"], "status": run["status"],
}, default=str))
""",
}


@pytest.mark.long
@pytest.mark.parametrize(
    "tracker",
    [pytest.param(name, marks=pytest.mark.slow if name == "mlflow" else ()) for name in sorted(READ)],
)  # MLflow's import alone takes five seconds
def test_a_run_is_there_as_its_record_has_it(tracker: str, repo: Path, tmp_path: Path) -> None:
    """One run of a ladder, told when it was stopped at step 20, and again when it had gone on and ended."""
    if importlib.util.find_spec(tracker) is None:
        pytest.skip(f"needs {tracker}")
    ladder = tmp_path / "classic"
    ladder.mkdir()
    (ladder / "ladder.json").write_text("{}")
    environment = {
        **os.environ, "HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio"), "MLFLOW_ALLOW_FILE_STORE": "1",
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(), "PYTHONPATH": os.pathsep.join([str(repo), *sys.path]),
    }  # fmt: skip
    environment = {name: value for name, value in environment.items() if not name.startswith("WANDB_")}
    result = subprocess.run(
        [sys.executable, "-c", WRITE + READ[tracker], tracker, str(ladder / "runs" / "basic" / "init" / "seed-0")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    read: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])

    losses = {int(step): float("nan") if value is None else float(value) for step, value in read["losses"]}
    assert sorted(int(step) for step, _ in read["losses"]) == list(range(1, 41)), "each step once"
    assert losses[5] != losses[5], "the loss that is not finite is there, as such"
    assert losses[40] == pytest.approx(5.6)
    assert [int(step) for step in read["val"]] == [0, 10, 20, 30, 40]
    texts = read["texts"]
    completions = [text for name, each in texts.items() if name.startswith("completions") for text in each]
    assert len(completions) == 5 and all("there \\*was\\*" in text for text in completions)
    found = [text for name, each in texts.items() if name.strip("/") == "findings" for text in each]
    assert "`non_finite`" in found[-1]
    assert "model.width" in str(read["configuration"]) and "secret" not in str(read["configuration"])
    assert read["group"] in ("classic", "no such thing")
    assert read["status"] == "finished"
