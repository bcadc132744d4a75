"""Slurm: an array of jobs through submitit, one task a run.

What is in the queue is asked of `squeue`, since not every cluster keeps the accounts that `sacct` reads; what a job
has come to stands in the ladder's folder. Jobs go on without the command that submitted them, and the next one finds
them by LADDER/slurm/jobs.json. Where the scheduler wants a machine back it signals: SIGUSR1 some minutes before (fabula
asks for it), SIGTERM at the end. The run then stops after its step, with a checkpoint, and its job goes back into the
queue.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.ladder.fleet.needs import needs_of
from fabula.ladder.fleet.sharing import Left
from fabula.ladder.fleet.work import Outcome, Task, Worker, work
from fabula.recipe.ladder import PlannedRun
from fabula.record.content.parsing import json_value
from fabula.record.files import make_folder, write_json
from fabula.record.wording import plural

FOLDER = "slurm"
JOBS_FILE = "jobs.json"
WARNING_SECONDS = 120
"""Before the time limit, SIGUSR1: the step is finished and a checkpoint written within it."""
MOST_IN_ARRAY = 1000
"""Slurm's own limit is 1,001 where nobody changed it (MaxArraySize)."""
AT_WORK = {"RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING"}

Job = tuple[str, int | None]
"""An array's number, and the place in it; None for a job alone."""


def job_name(job: Job) -> str:
    return job[0] if job[1] is None else f"{job[0]}_{job[1]}"


class JobWorker(Worker):
    """Stops, with a checkpoint, when Slurm says that the machine is wanted."""

    def __init__(self, out: Path) -> None:
        super().__init__(out)
        self.told: signal.Signals | None = None
        for each in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(each, self._tell)  # in place of submitit's, which end the process at once

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self.told = signal.Signals(number)

    def stopping(self) -> bool:
        return self.told is not None or super().stopping()


def make_run(task: Task) -> dict[str, str]:
    """What a job does. Its end is written beside the ladder, for whoever looks next; one that stopped because the time
    of its job is over goes back into the queue (after SIGTERM the scheduler sees to that, or does not want it)."""
    observer = JobWorker(task.out)
    outcome = work(task, observer)
    number, place = os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID")
    array = os.environ.get("SLURM_ARRAY_JOB_ID", number)
    name = job_name((array, None if place is None else int(place)))
    write_json(task.out / FOLDER / f"{name}.json", {"run": str(task.run.folder), **outcome.as_json()})
    if outcome.status == "interrupted" and observer.told == signal.SIGUSR1:
        subprocess.run(["scontrol", "requeue", name], check=True)
    return outcome.as_json()


class SlurmEngine:
    def __init__(self, data: Path, out: Path, threads: int, at_once: int | None) -> None:
        self._data, self._out, self._threads, self._at_once = data.resolve(), out.resolve(), threads, at_once
        self._folder = self._out / FOLDER
        self._jobs: dict[PlannedRun, Job] = {}
        self._states: Mapping[Job, str] = {}

    def submit(self, runs: Sequence[PlannedRun]) -> None:
        earlier = self._earlier()
        queue = queued()
        new = []
        for run in runs:
            job = earlier.get(str(run.folder))
            if job is not None and job in queue:
                self._jobs[run] = job
            else:
                new.append(run)
        for start in range(0, len(new), MOST_IN_ARRAY):
            self._submit_array(new[start : start + MOST_IN_ARRAY])
        self._states = queued()

    def left(self, seconds: float) -> list[Left]:
        time.sleep(seconds)
        self._states = queued(self._states)
        gone = [run for run, job in self._jobs.items() if job not in self._states]
        return [self._left(run, self._jobs.pop(run)) for run in gone]

    def counts(self) -> tuple[int, int]:
        at_work = sum(self._states.get(job) in AT_WORK for job in self._jobs.values())
        return at_work, len(self._jobs) - at_work

    def goes_on_alone(self) -> str:
        arrays = sorted({array for array, _ in self._jobs.values()})
        if not arrays:
            return ""
        return (
            f"left in Slurm's queue, where jobs go on without this command: {plural(len(self._jobs), 'run')}; the same "
            f"call looks after them again, and to end them: scancel {' '.join(arrays)}"
        )

    def _left(self, run: PlannedRun, job: Job) -> Left:
        outcome = self._outcome(job)
        state = ended_as(job)
        why = f"job {job_name(job)} ended{f' as {state}' if state else ''} (what it said: {self._log(job)})"
        return Left(run, wrong=outcome.wrong, why=why, cancelled=state == "CANCELLED")

    def _outcome(self, job: Job) -> Outcome:
        try:
            tree = json_value((self._folder / f"{job_name(job)}.json").read_text(encoding="utf-8"))
            return Outcome(str(tree["status"]), str(tree["wrong"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Outcome()  # it died before it could tell

    def _log(self, job: Job) -> Path:
        return self._folder / f"{job_name(job)}_0_log.err"

    def _earlier(self) -> dict[str, Job]:
        """Run folder -> the job that was last submitted for it, by this command or an earlier one."""
        jobs: dict[str, Job] = {}
        for entry in self._submitted():
            alone = len(entry["runs"]) == 1
            for place, folder in enumerate(entry["runs"]):
                jobs[str(folder)] = (str(entry["job"]), None if alone else place)
        return jobs

    def _submitted(self) -> list[dict[str, Any]]:
        path = self._folder / JOBS_FILE
        try:
            tree = json_value(path.read_text(encoding="utf-8"))
            return [{"job": str(each["job"]), "runs": list(each["runs"])} for each in tree]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} cannot be read ({error!r}); delete it once none of this ladder's jobs is in the queue (squeue)"
            ) from error

    def _submit_array(self, runs: Sequence[PlannedRun]) -> None:
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # read when submitit is loaded, there as well
        import submitit  # only where it is asked for

        make_folder(self._folder)
        tasks = [Task(run, self._data, self._out, self._threads) for run in runs]
        words = {
            name: open_dataset(self._data, name).tokenizer.vocabulary for name in {r.recipe.tokenizer for r in runs}
        }
        needs = [needs_of(run.recipe, words[run.recipe.tokenizer], self._threads) for run in runs]
        try:
            executor = submitit.SlurmExecutor(self._folder)
            executor.update_parameters(
                job_name="fabula",
                time=None,  # that of the partition, or SBATCH_TIMELIMIT
                cpus_per_task=self._threads,
                mem=f"{-(-max(each.memory for each in needs) // 1_000_000)}M",
                array_parallelism=self._at_once or len(runs),
                signal_delay_s=WARNING_SECONDS,
                srun_args=["--cpus-per-task", str(self._threads)],  # from 22.05 on it is not srun's without being said
                additional_parameters={"requeue": True},
            )
            jobs = executor.map_array(make_run, tasks)
        except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
            raise InputError(f"--on slurm: sbatch took no jobs: {_said(error)}") from error
        array = jobs[0].job_id.partition("_")[0]
        entry = {"job": array, "runs": [str(run.folder) for run in runs]}
        write_json(self._folder / JOBS_FILE, [*self._submitted(), entry])
        for place, run in enumerate(runs):
            self._jobs[run] = (array, place if len(runs) > 1 else None)


def check_slurm() -> None:
    """Raises InputError where there is no Slurm to submit to."""
    queued()


def queued(otherwise: Mapping[Job, str] | None = None) -> Mapping[Job, str]:
    """The jobs of this user that are in the queue, each with its state. Where the scheduler does not answer for now:
    `otherwise`, or, where that is not given, InputError."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%F %K %T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise InputError(
            "--on slurm: there is no Slurm here (squeue is not found); call it on a machine of the cluster"
        ) from error
    except subprocess.CalledProcessError as error:
        if otherwise is not None:
            return otherwise
        raise InputError(f"--on slurm: the scheduler does not answer: {_said(error)}") from error
    found: dict[Job, str] = {}
    for line in done.stdout.splitlines():
        array, place, state = (*line.split(), "", "", "")[:3]
        found[array, int(place) if place.isdigit() else None] = state
    return found


def ended_as(job: Job) -> str:
    """The state in which a job ended, while the scheduler still knows it; else empty."""
    command = ["scontrol", "--oneliner", "show", "job", job_name(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\bJobState=(\w+)", done.stdout)
    return found[1] if found else ""


def _said(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return " ".join(text.split())[-300:] or type(error).__name__
