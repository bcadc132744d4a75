"""A stand-in for Slurm: sbatch, squeue, scontrol, srun and scancel over one folder, in which each job is a file.

It keeps what fabula relies on: an array's tasks run as processes of their own with Slurm's variables, leave the queue
when they end, go back into it by `scontrol requeue`, and are signalled by `scancel`. What the real one does otherwise
was tried by hand (docs/ladders.md).
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

STATE = Path(os.environ.get("STAND_IN_QUEUE", "."))


def sbatch(script: str) -> None:
    text = Path(script).read_text()
    with open(STATE / "sbatch.txt", "a") as recorded:
        recorded.write(text)
    if (STATE / "refuse").exists():
        sys.exit((STATE / "refuse").read_text())
    number = len(list(STATE.glob("*.array"))) + 1
    (STATE / f"{number}.array").touch()
    array = re.search(r"--array=0-(\d+)", text)
    for task in range(int(array[1]) + 1) if array else [None]:
        begin(str(number), task, script)
    print(f"Submitted batch job {number}")


def begin(number: str, task: int | None, script: str) -> None:
    name = number if task is None else f"{number}_{task}"
    variables = {"SLURM_JOB_ID": name, "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}
    if task is not None:
        variables |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(task)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    job = STATE / f"{name}.job"
    job.write_text(json.dumps({"array": number, "task": task, "script": script, "state": "PENDING", "again": False}))
    subprocess.Popen(
        [sys.executable, __file__, "task", str(job)],
        env={**environment, **variables}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def change(job: Path, **values: object) -> dict[str, object]:
    content = {**json.loads(job.read_text()), **values}
    new = job.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(content))
    os.replace(new, job)
    return content


def task(path: str) -> None:
    """One job from its start to its end, and again where it was put back into the queue."""
    job = Path(path)
    while True:
        child = subprocess.Popen(["bash", str(change(job)["script"])], start_new_session=True)
        change(job, state="RUNNING", pid=child.pid, again=False)
        code = child.wait()
        if not change(job)["again"]:
            break
    change(job, state="COMPLETED" if code == 0 else "FAILED")


def srun(arguments: list[str]) -> None:
    place = arguments.index("-u") - 1
    log = arguments[arguments.index("--error") + 1]
    name = os.environ["SLURM_JOB_ID"]
    with open(log.replace("%A_%a", name).replace("%j", name).replace("%t", "0"), "a") as file:
        os.dup2(file.fileno(), 2)
    os.execvp(arguments[place], arguments[place:])


def squeue() -> None:
    if (STATE / "deaf").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    for job in STATE.glob("*.job"):
        content = json.loads(job.read_text())
        if content["state"] in ("PENDING", "RUNNING"):
            print(content["array"], "N/A" if content["task"] is None else content["task"], content["state"])


def main() -> None:
    program, *arguments = sys.argv[1:]
    if program == "sbatch":
        sbatch(arguments[0])
    elif program == "task":
        task(arguments[0])
    elif program == "squeue":
        squeue()
    elif program == "srun":
        srun(arguments)
    elif program == "scancel":  # scancel USR1 NAME
        os.killpg(json.loads((STATE / f"{arguments[1]}.job").read_text())["pid"], getattr(signal, f"SIG{arguments[0]}"))
    elif arguments[0] == "requeue":
        change(STATE / f"{arguments[1]}.job", again=True)
    else:
        print(f"JobId=1 JobState={json.loads((STATE / f'{arguments[-1]}.job').read_text())['state']}")


if __name__ == "__main__":
    main()
