"""What a report shows, sorted: a run, the runs of a phase, the phases of a tier, the tiers of a ladder."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fabula.findings import Diagnosis, Facts, Flags, diagnose
from fabula.findings.facts import facts_of_run
from fabula.record.ladders.frozen import Frozen
from fabula.record.ladders.unsealed import Unsealed
from fabula.record.reader import Run
from fabula.study.grouping.groups import Grouping
from fabula.study.inference.effects import Effect, num_questions
from fabula.study.inference.noise import NoiseFloor, late_roughness


@dataclass(frozen=True)
class RunView:
    """One place of the ladder. `run` is None where it is missing or cannot be read; `problem` says why."""

    tier: str
    phase: str
    seed: int
    path: Path
    run: Run | None
    problem: str = ""
    flags: Flags | None = None
    """What a log of another program cannot say by itself."""

    @property
    def name(self) -> str:
        """Tier and phase, or what a log is called."""
        return self.tier if self.phase == self.tier else f"{self.tier}/{self.phase}"

    @cached_property
    def facts(self) -> Facts | None:
        return facts_of_run(self.run, self.flags) if self.run is not None else None

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        return diagnose(self.run, self.flags) if self.run is not None else None

    @property
    def finished(self) -> bool:
        return self.run is not None and self.run.status == "finished"

    @property
    def info(self) -> dict[str, Any]:
        return self.run.info if self.run is not None else {}

    def of(self, *keys: str) -> Any:
        """A value of run.json by its path of keys; None where any of them is missing."""
        value: Any = self.info
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @cached_property
    def final(self) -> dict[str, float]:
        """The last full evaluation of a finished run: column -> finite value; empty where there is none."""
        if not self.finished or self.run is None:
            return {}
        full = self.run.full_evals()
        if not len(full["step"]) or full["step"][-1] == 0:
            return {}
        return {name: float(values[-1]) for name, values in full.items() if math.isfinite(values[-1])}

    @cached_property
    def last(self) -> dict[str, float]:
        """The last value of every column; where steps and evaluations both have one, that of the steps, which go on
        longer: what the run had done when its record ends."""
        values: dict[str, float] = {}
        if self.run is not None:
            for columns in (self.run.evals, self.run.train):
                values.update({name: float(column[-1]) for name, column in columns.items() if len(column)})
        return {name: value for name, value in values.items() if math.isfinite(value)}

    @property
    def start_loss(self) -> float | None:
        """Loss before the first update, on the ruler of the curve; None where the record begins later."""
        curve = self.facts.val_loss if self.facts is not None else None
        if curve is None or curve.steps[0] != 0 or not math.isfinite(curve.values[0]):
            return None
        return float(curve.values[0])

    @property
    def validation_loss(self) -> float | None:
        """The one number of a run: on all validation stories after its last step; before that the curve's last."""
        if "val_loss" in self.final:
            return self.final["val_loss"]
        values = self._course()
        return float(values[-1]) if len(values) else None

    @property
    def untrained_loss(self) -> float | None:
        """The same of the model before its first step: by the ruler of the end where the record holds it."""
        full = self.run.full_evals() if self.run is not None else {}
        if len(full.get("step", ())) and full["step"][0] == 0 and math.isfinite(full["val_loss"][0]):
            return float(full["val_loss"][0])
        return self.start_loss

    def _course(self) -> np.ndarray:
        if self.facts is None or self.facts.val_loss is None:
            return np.array([])
        return self.facts.val_loss.finite.values

    @property
    def best_loss(self) -> float | None:
        """Lowest loss on the ruler of the curve; None without a curve."""
        values = self._course()
        return float(values.min()) if len(values) else None

    @property
    def worst_loss(self) -> float | None:
        values = self._course()
        return float(values.max()) if len(values) else None

    @cached_property
    def roughness(self) -> float | None:
        """Scatter of the training loss at the end of a finished run, in log units (see late_roughness)."""
        return late_roughness(self.run) if self.finished and self.run is not None else None

    @property
    def seconds(self) -> float | None:
        recorded = self.of("timings", "training_seconds")
        return float(recorded) if recorded is not None else self.last.get("seconds")


@dataclass(frozen=True)
class PhaseView:
    name: str
    change: str
    runs: tuple[RunView, ...]
    includes: tuple[str, ...] = ()
    """The phases whose changes this recipe has, where a ladder says so."""

    @property
    def read(self) -> list[RunView]:
        return [each for each in self.runs if each.run is not None]

    @property
    def counted(self) -> list[RunView]:
        """The runs that a mean may be taken over: the finished ones; all that can be read where none is."""
        return [each for each in self.runs if each.finished] or self.read

    @property
    def complete(self) -> list[RunView]:
        return [each for each in self.runs if each.final]

    @property
    def failed(self) -> list[RunView]:
        """Runs that ended because their loss did not stay finite: in no mean, and told wherever they are missed."""
        return [each for each in self.runs if each.run is not None and each.run.status == "failed"]

    def final_losses(self, column: str = "val_loss") -> list[float]:
        return [each.final[column] for each in self.complete if column in each.final]


@dataclass(frozen=True)
class TierView:
    name: str
    phases: tuple[PhaseView, ...]
    effects: tuple[Effect, ...] = ()
    """Effects and interactions within the tier."""
    roughness: tuple[Effect, ...] = ()
    """Effects on the scatter of the training loss at the end."""
    noise: tuple[NoiseFloor, ...] = ()
    """A protocol each."""
    in_order: bool = True
    """Whether each phase builds upon the one before it, as in a ladder. Runs that come by themselves have no order:
    each recipe is compared with the first."""
    foreign: bool = False
    """Logs of another program, a phase each: shown together, compared with nothing."""
    unread: tuple[str, ...] = ()
    """Of a folder of logs: what could not be read, and why."""

    @property
    def is_factorial(self) -> bool:
        return any(each.contrast.design == "factorial" for each in self.effects)

    @property
    def path(self) -> tuple[PhaseView, ...]:
        """The recipes that follow each other in time: of a factorial those that add one change after the other; of
        any other ladder all."""
        if not self.is_factorial:
            return self.phases
        order = max((phase.includes for phase in self.phases), key=len)
        return tuple(phase for phase in self.phases if phase.includes == order[: len(phase.includes)])

    def phase(self, name: str) -> PhaseView:
        return next(phase for phase in self.phases if phase.name == name)

    @property
    def runs(self) -> list[RunView]:
        return [each for phase in self.phases for each in phase.runs]

    @property
    def first(self) -> RunView | None:
        return next((each for each in self.runs if each.run is not None), None)

    def lowest(self) -> PhaseView | None:
        """The phase whose final loss on `stream`, averaged over its seeds, is the lowest, of those that share a
        ruler with every other one."""
        done = [phase for phase in self.phases if phase.final_losses()]
        rulers = {each.of("rulers", "stream") for phase in done for each in phase.complete}
        if len(done) < 2 or len(rulers) > 1:
            return None
        return min(done, key=lambda phase: float(np.mean(phase.final_losses())))


@dataclass(frozen=True)
class LadderView:
    name: str
    tiers: tuple[TierView, ...]
    plan: dict[str, Any] = field(default_factory=dict)
    """ladder.json, where there is one."""
    frozen: Frozen | None = None
    """plan.json, where a plan was frozen before the first run."""
    unsealed: Unsealed | None = None
    """test.json, where the test stories were unsealed."""
    across: tuple[Effect, ...] = ()
    """How effects differ between tiers."""
    grouping: Grouping = field(default_factory=Grouping)
    """How runs that came by themselves were put together, and why."""

    @property
    def runs(self) -> list[RunView]:
        return [each for tier in self.tiers for each in tier.runs]

    @property
    def own(self) -> "LadderView":
        """The runs that fabula made."""
        return replace(self, tiers=tuple(tier for tier in self.tiers if not tier.foreign))

    @property
    def logs(self) -> list[TierView]:
        """The logs of other programs."""
        return [tier for tier in self.tiers if tier.foreign]

    @property
    def effects(self) -> list[Effect]:
        """Effects, then interactions, then how effects differ between tiers: one table with one error rate."""
        within = [each for tier in self.tiers for each in tier.effects]
        return [*sorted(within, key=lambda each: each.kind), *self.across]

    @property
    def num_questions(self) -> int:
        return num_questions(self.effects)

    @property
    def num_seeds(self) -> int:
        """Seeds of the phase that has the most."""
        return max((len(phase.runs) for tier in self.tiers for phase in tier.phases), default=0)

    @property
    def num_paired_seeds(self) -> int:
        """The most seeds that any effect stands on."""
        return max((len(each.seeds) for each in self.effects), default=0)
