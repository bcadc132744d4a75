"""The loop: update after update, with the evaluations, samples and checkpoints that the recipe asks for."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from fabula.data.batches import Source
from fabula.data.dataset import Dataset
from fabula.model.decoder import Decoder
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.wording import plural
from fabula.record.writer import RunWriter
from fabula.score.completions import complete_prompts
from fabula.score.held_out import Scorers, evaluate
from fabula.score.known_stories import KnownStories, know_stories
from fabula.score.rulers import Rulers
from fabula.train.engine import Engine
from fabula.train.life.checkpoints.background import Background
from fabula.train.life.checkpoints.guard import Guard
from fabula.train.life.checkpoints.leaving import keep_what_there_is
from fabula.train.life.checkpoints.rollback import Trouble, roll_back
from fabula.train.life.checkpoints.saving import save, settle_checkpoint
from fabula.train.life.layout import layout_information
from fabula.train.life.length.budget import Clock
from fabula.train.life.length.estimate import positions_scored
from fabula.train.life.length.extension import last_shared_step
from fabula.train.life.progress import Progress
from fabula.train.observer import Observer
from fabula.train.processes.lost import ProcessLost
from fabula.train.processes.tensors import held, whole_model
from fabula.train.processes.together import Together
from fabula.train.update.internals import Inside
from fabula.train.update.step import Launched

FINAL_SAMPLE_TOKENS = 120
MOST_SKIPPED = 20
"""Steps skipped in a row after which a run has failed: with AdamW's memory of 1 / (1 - beta2) = 20 steps, what is
not finite by then does not come back by waiting."""
MOST_SKIPPED_AT_THE_END = 3
"""Steps skipped in a row, up to the last one, after which a run has failed: one batch may be bad, three different ones
are not."""


class TrainingFailed(RuntimeError):
    """The run cannot go on; its record says why."""

    def __repr__(self) -> str:  # what run.json keeps, and the report tells
        return str(self)


@dataclass(frozen=True)
class StartingPoint:
    """Weights of another model to start from, and where they came from."""

    folder: Path
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class UnderWay:
    """An update that is launched and not yet in the record."""

    step: int
    launched: Launched
    factor: float
    """What the learning rate was multiplied by."""
    inside: Inside | None
    began: float


@dataclass
class Training:
    """One run in the making. `run` is the loop; every other method is one thing the loop does."""

    recipe: Recipe
    data: Dataset
    seed: int
    engine: Engine
    source: Source
    rulers: Rulers
    observer: Observer
    progress: Progress = field(default_factory=Progress)
    guard: Guard = field(default_factory=Guard)
    background: Background = field(default_factory=Background)
    """Writes the checkpoints."""
    start: StartingPoint | None = None
    seconds: float | None = None
    """What the run may take, where that was said in place of a number of steps."""
    last_losses: list[float] = field(default_factory=list)
    """What the last evaluation measured."""
    under_way: deque[UnderWay] = field(default_factory=deque)
    """Updates that are launched and not yet told; none where the host decides."""
    told_at: float = 0.0
    """When the last update was told."""
    lost: str | None = None
    """What ended the run, where it was the loss of another process."""
    whole_until: int = 0
    """The last update of which the record has all that was due, so that a checkpoint may be taken behind it."""

    def run(self, writer: RunWriter) -> str:
        """Train to the last step, or until the observer wants to stop, or another process of the run is lost. Returns
        the run's final status.

        Raises TrainingFailed when too many steps in a row were not finite, or what came out is not.
        """
        try:
            return self.make(writer)
        except ProcessLost as error:
            keep_what_there_is(self, writer, error)
            return "interrupted"
        finally:
            self.background.wait()  # also when all else failed: nothing is written once the run has been closed

    def make(self, writer: RunWriter) -> str:
        """All updates that are left, and what comes before and after them."""
        self.observer.begun(self.progress.step)
        if self.progress.step == 0:
            writer.event(0, "started", **self.together.event())
            self.evaluate(writer, full=True)
        clock = None
        if self.seconds is not None:
            part, full = positions_scored(self.rulers)
            clock = Clock(self.seconds, self.progress.evaluation_seconds, part / full)
        stopped = False
        while self.progress.step < self.recipe.steps and not stopped:
            try:
                stopped = self.advance(writer, clock)
            except Trouble as trouble:
                self.under_way.clear()
                roll_back(self, writer, str(trouble))
                if clock is not None:
                    clock.go_back(self.progress.step, self.progress.training_seconds)
        settle_checkpoint(self, writer)
        return "interrupted" if stopped else "finished"

    @property
    def together(self) -> Together:
        return self.engine.together

    def advance(self, writer: RunWriter, clock: Clock | None) -> bool:
        """One update, and all that comes after it. Returns whether the run is to stop here."""
        if self.background.has_ended:
            settle_checkpoint(self, writer)
        self.update(writer)
        if clock is not None:
            self.keep_time(clock, writer)
        asked = self.observer.checkpoint_asked()
        if self.under_way:
            if not (asked or self.observer.stopping()):
                return False  # nothing is due after the updates that are told
            self.tell_all(writer)
        step = self.progress.step
        last = step == self.recipe.steps
        if last or step % self.recipe.evaluation.every == 0:
            self.evaluate(writer, full=last)
        if last:
            self.check_end(writer)
        self.whole_until = step
        stop, asked = self.observer.stopping(), asked or self.observer.checkpoint_asked()
        if not last:
            stop, asked = self.together.heard(stop, asked)
        stopping = not last and stop
        saving = asked or stopping or self.has_checkpoint(step)
        if saving:
            self.check_weights(writer)
        if last or stopping:
            writer.event(step, "finished" if last else "interrupted")
        if saving:
            save(self, writer)
        return stopping

    def has_checkpoint(self, step: int) -> bool:
        """Whether a checkpoint is due after update `step`: where the recipe asks for it, and no step is being
        skipped."""
        return step == self.recipe.steps or (self.asks_for_checkpoint(step) and not self.progress.skipped_in_a_row)

    def asks_for_checkpoint(self, step: int) -> bool:
        """Whether the recipe asks for one after update `step`."""
        every = self.recipe.checkpoint.every
        return every > 0 and step > 0 and (step % every == 0 or step == self.before_decay)

    @property
    def before_decay(self) -> int:
        """The step after which a warmdown begins to fall: from here the run can be made longer."""
        falls = self.recipe.schedule.kind == "warmdown" and not self.recipe.own.schedule
        return last_shared_step(self.recipe) if falls else 0

    def update(self, writer: RunWriter) -> None:
        """Launch one optimizer update, and tell what came of those before it; of this one too where it is waited
        for."""
        step = self.progress.step + len(self.under_way) + 1
        inside = self.look_inside(step)
        factor, began = self.guard.factor(step), time.perf_counter()
        launched = self.engine.launch(self.source, step, step + self.guard.shift, factor)
        self.under_way.append(UnderWay(step, launched, factor, inside, began))
        if self.is_waited_for(step):
            self.tell_all(writer)
        while len(self.under_way) > self.engine.steps_ahead:
            self.tell(writer, self.under_way.popleft())

    def is_waited_for(self, step: int) -> bool:
        """Whether something is due after update `step` that has to know what came of it."""
        recipe = self.recipe
        due = step % recipe.evaluation.every == 0 or self.asks_for_checkpoint(step)
        return step >= recipe.steps or recipe.record.looks_into(step) or due

    def tell_all(self, writer: RunWriter) -> None:
        """Wait for the updates that are under way."""
        while self.under_way:
            self.tell(writer, self.under_way.popleft())

    def tell(self, writer: RunWriter, update: UnderWay) -> None:
        """The line of an update, and what follows from it."""
        progress, step = self.progress, update.step
        result = update.launched.result()
        now = time.perf_counter()
        seconds, self.told_at = now - max(update.began, self.told_at), now
        progress.step = step
        progress.tokens += result.num_tokens
        progress.positions += self.recipe.positions_per_step
        progress.training_seconds += seconds
        line = {
            "step": step,
            "tokens": progress.tokens,
            "positions": progress.positions,
            "loss": result.loss,
            "grad_norm": result.grad_norm,
            "learning_rate": update.factor * self.engine.learning_rate(step),
            "seconds": progress.training_seconds,
            "tokens_per_second": result.num_tokens / seconds,
        }
        writer.train(**line)
        if self.recipe.record.looks_into(step):
            model = whole_model(self.engine.model, gradients=True)
            if update.inside is not None:
                assert isinstance(model, Decoder), "the recipe refuses to look inside a model of the user's own"
                writer.internals(step=step, **update.inside.after(model, result, self.recipe.optimizer.clip))
        self.observer.stepped(line)
        policy = self.recipe.guard.policy
        if result.applied:
            progress.skipped_in_a_row = 0
            if policy != "skip" and (rise := self.guard.rise(result.loss, self.recipe.guard.spike)):
                self.fail(writer, rise)
            return
        progress.skipped_in_a_row += 1
        writer.event(step, "batch_skipped", reason="loss or gradient is not finite", in_a_row=progress.skipped_in_a_row)
        self.observer.notice(f"step {step}: loss or gradient is not finite; no weight was changed")
        most = {"skip": MOST_SKIPPED, "stop": 1, "rollback": MOST_SKIPPED_AT_THE_END}[policy]
        if progress.skipped_in_a_row >= most:
            steps = f"{most} steps in a row were" if most > 1 else f"step {step:,} was"
            self.fail(writer, f"{steps} not finite")

    def look_inside(self, step: int) -> Inside | None:
        """What stands before update `step`, if the recipe asks for a look at it."""
        if not self.recipe.record.looks_into(step):
            return None
        model = whole_model(self.engine.model)
        if not self.together.leads:
            return None
        assert isinstance(model, Decoder), "the recipe refuses to look inside a model of the user's own"
        rows = torch.from_numpy(self.source.batch(step + self.guard.shift, 0).inputs_BT[:1]).to(self.engine.device)
        return Inside.before(model, rows, some_hidden=self.recipe.batch.hidden_tokens > 0)

    def keep_time(self, clock: Clock, writer: RunWriter) -> None:
        """Change the number of steps where the machine turned out faster or slower than planned."""
        progress, before = self.progress, self.recipe.steps
        wanted = clock.planned_end(self.recipe, progress.step, progress.training_seconds, progress.evaluation_seconds)
        (said,) = self.together.same(wanted or 0)
        if not said:
            return
        steps = max(int(said), progress.step + len(self.under_way) + 1)  # the next update may be the last
        self.recipe = self.engine.recipe = self.recipe.with_values(steps=steps)
        layout = layout_information(self.source, steps)
        writer.change_recipe(to_toml(self.recipe.as_tree()), steps=steps, layout=layout)
        writer.event(progress.step, "planned_anew", steps=steps, steps_before=before)
        self.observer.planned_anew(steps)

    def check_end(self, writer: RunWriter) -> None:
        """Raise TrainingFailed where a run has made all its steps and ends in nothing: a loss that is not finite, or
        steps that changed no weight."""
        skipped = self.progress.skipped_in_a_row
        if not all(map(math.isfinite, self.last_losses)):
            self.fail(writer, "the last evaluation is not finite")
        if skipped >= min(MOST_SKIPPED_AT_THE_END, self.recipe.steps):
            self.fail(writer, f"the last {plural(skipped, 'step')} changed no weight: loss or gradient was not finite")

    def check_weights(self, writer: RunWriter) -> None:
        """Raise TrainingFailed where a weight is not finite: no later step brings it back, so that a checkpoint of it
        is of no use."""
        parameters = self.engine.model.parameters()
        if self.together.any(not all(bool(held(each).isfinite().all()) for each in parameters)):
            self.fail(writer, f"the weights after step {self.progress.step:,} are not finite")

    def fail(self, writer: RunWriter, reason: str) -> NoReturn:
        """End the run as failed, and say what to change. Raises Trouble instead where the recipe has it go back."""
        settle_checkpoint(self, writer)
        progress, guard = self.progress, self.recipe.guard
        if guard.policy == "rollback":
            if self.guard.num_rollbacks < guard.rollbacks:
                raise Trouble(reason)
            reason += f", after {plural(guard.rollbacks, 'rollback')}"
        writer.event(progress.step, "failed", reason=reason)
        never = progress.skipped_in_a_row == progress.step
        advice = "lower initialization.std" if never else "lower schedule.peak or lengthen schedule.warmup"
        kept = progress.best_loss is not None and progress.best_step in checkpoint_steps(writer.folder)
        best = f"; the best checkpoint is that of step {progress.best_step:,}" if kept else ""
        raise TrainingFailed(f"{reason}; {advice}{best}")

    def evaluate(self, writer: RunWriter, full: bool) -> None:
        """Score by the yardstick and complete the prompts; their time is not training time."""
        progress = self.progress
        started = time.perf_counter()
        eot = self.data.tokenizer.eot
        tell = self.observer.evaluating
        scorers = Scorers(*self.together.share, self.together.added_up)
        fields, stories = evaluate(self.engine.token_losses, self.rulers, eot, self.engine.device, full, tell, scorers)
        if progress.step == self.recipe.steps:
            for story in stories:
                writer.stories(step=progress.step, **story)
        loss = fields["val_loss_subset"]
        assert loss is not None, "every evaluation scores the subset"
        self.last_losses = [each for each in fields.values() if each is not None]
        finite = all(map(math.isfinite, self.last_losses))
        samples = self.sample(writer) if finite else []  # without finite logits there is nothing to choose from
        seconds = time.perf_counter() - started
        progress.evaluation_seconds += seconds
        line = {
            "step": progress.step,
            "tokens": progress.tokens,
            "positions": progress.positions,
            **fields,
            "full": full,
            "seconds": progress.training_seconds,
            "evaluation_seconds": seconds,
        }
        writer.evaluation(**line)
        self.observer.evaluated(line)
        for sample in samples:
            self.observer.sampled(sample)
        if finite:
            self.note_best(loss)

    def note_best(self, loss: float) -> None:
        """Remember the best step among those that can be gone back to."""
        progress = self.progress
        if not self.has_checkpoint(progress.step):
            return
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_step = loss, progress.step

    def sample(self, writer: RunWriter) -> list[dict[str, Any]]:
        """Complete the first prompt; after the last step all of them, at length. Returns the lines of the record."""
        evaluation = self.recipe.evaluation
        if not evaluation.sample_tokens or not evaluation.prompts:
            return []
        final = self.progress.step == self.recipe.steps
        prompts = evaluation.prompts if final else evaluation.prompts[:1]
        num_tokens = FINAL_SAMPLE_TOKENS if final else evaluation.sample_tokens
        model, tokenizer = whole_model(self.engine.model), self.data.tokenizer
        if not self.together.leads:
            return []
        completions = complete_prompts(model, tokenizer, prompts, num_tokens, self.seed, self.known_stories)
        lines = [{"step": self.progress.step, **each, "final": final} for each in completions]
        for line in lines:
            writer.sample(**line)
        return lines

    @cached_property
    def known_stories(self) -> KnownStories:
        return know_stories(self.data)
