"""A model made ready to train on this machine: device, precision, compilation, optimizer."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fabula.data.batches import Source
from fabula.errors import InputError
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialization_seed, initialize
from fabula.model.loss import token_losses
from fabula.model.own import OwnModel, build_own, function_named, scored_without_dropout
from fabula.model.spinning import WAITING
from fabula.recipe.schema import Recipe
from fabula.score.held_out import TokenLosses, rows_of_batch
from fabula.score.rulers import COMMON_CONTEXT
from fabula.train.machine.choice import Choice
from fabula.train.machine.choices import (
    OF_OWN_OPTIMIZER,
    choose_compile,
    choose_device,
    choose_fused,
    choose_graph,
    choose_precision,
    choose_updates,
)
from fabula.train.machine.compiled import do_without_openssl, make_first_kernel, reuse_compiled
from fabula.train.machine.memory.keeping import keep_freed_memory
from fabula.train.machine.neighbours import watch_neighbours
from fabula.train.machine.threads import chosen_threads
from fabula.train.meanwhile import telling
from fabula.train.processes.lost import ProcessLost, loss_told
from fabula.train.processes.tensors import hand_out_weights
from fabula.train.processes.together import ALONE, Together, check_device
from fabula.train.update.device_step import STEPS_AHEAD, DeviceStep
from fabula.train.update.optimizer import make_optimizer, read_on_device
from fabula.train.update.rates import rate_of
from fabula.train.update.step import Launched, LossSum, Made, StepResult, train_step

if TYPE_CHECKING:
    from fabula.train.processes.sharing import Shared


@dataclass(frozen=True)
class Probe:
    """At least so many steps and at most so many, until so much time has gone."""

    least: int
    most: int
    seconds: float


THOROUGH = Probe(3, 10, 3.0)
"""Where a number of steps is chosen by it."""
BRIEF = Probe(2, 10, 1.0)
"""Where it is only said how long the training will take."""


@dataclass
class Engine:
    """Everything that changes while training, and the functions that change it."""

    recipe: Recipe
    seed: int
    model: Decoder | OwnModel
    optimizer: torch.optim.Optimizer
    device: torch.device
    choices: dict[str, Choice]
    loss_sum: LossSum
    token_losses: TokenLosses
    initial_weights: Mapping[str, Tensor] | None = None
    """A state_dict to start from in place of the recipe's initialisation."""
    together: Together = ALONE
    """The processes that make the run."""
    shared: "Shared | None" = None
    """The model as they share it, where they are several."""
    compile_seconds: float = 0.0
    step_seconds: float = field(default=float("nan"))
    """Seconds of one step, the median of those that the probe measured."""
    device_step: DeviceStep | None = None
    """Makes the updates where the device decides on them."""

    @property
    def steps_ahead(self) -> int:
        """Updates that may be launched before an earlier one is read."""
        return 0 if self.device_step is None else STEPS_AHEAD

    def step(self, source: Source, step: int, batch: int | None = None, factor: float = 1.0) -> StepResult:
        """Make update `step`; see `launch`."""
        return self.launch(source, step, batch, factor).result()

    def launch(self, source: Source, step: int, batch: int | None = None, factor: float = 1.0) -> Launched:
        """Begin update `step`, counted from 1, with the batch of number `batch` (its own by default) and `factor` times
        its rate."""
        number = step if batch is None else batch
        batches = [source.batch(number, micro_step) for micro_step in range(self.recipe.batch.accumulation)]
        rate = factor * self.learning_rate(step)
        if self.device_step is not None:
            return self.device_step.launch(batches, rate)
        clip = self.recipe.optimizer.clip
        with loss_told():
            made = train_step(
                self.model, self.loss_sum, self.optimizer, batches, rate, clip, self.device, self.together, self.shared
            )
        return Made(made)

    def learning_rate(self, step: int) -> float:
        """The rate of update `step`."""
        return rate_of(self.recipe, step)

    def reset(self) -> None:
        """Weights as the seed makes them, or as they were given; an optimizer without memory."""
        if self.together.several:
            hand_out_weights(self.model, self._first_weights() if self.together.leads else None)
        elif self.initial_weights is None:
            assert isinstance(self.model, Decoder), "a model of the user's own is made with its weights"
            initialize(self.model, self.recipe.initialization, initialization_seed(self.seed))
        else:
            self.model.load_state_dict(self.initial_weights)
        self.renew_optimizer()

    def renew_optimizer(self) -> None:
        """An optimizer that remembers nothing."""
        recipe = self.recipe
        self.optimizer = optimizer_of(self.model, recipe)
        if self.choices["updates"].value == "device":
            read_on_device(self.optimizer, self.device)
            shape = recipe.batch.accumulation, recipe.batch.rows, recipe.model.context
            graph = self.choices["graph"].value == "on"
            self.device_step = DeviceStep(
                self.model, self.loss_sum, self.optimizer, recipe.optimizer.clip, shape, self.device, graph
            )

    def set_losses(self, compiled: bool) -> None:
        """Take the losses of the model as they are, or through torch.compile."""
        losses = loss_functions(self.model, self.recipe.batch.hidden_tokens > 0)
        if compiled and not self.together.sharded:
            # Each shape for itself: there are two (the recipe's context and the ruler's). With sizes left open, scoring
            # the whole split took 11 s on an H100, on which 3,500 steps took 14.
            losses = torch.compile(losses[0], dynamic=False), torch.compile(losses[1], dynamic=False)
        if isinstance(self.model, OwnModel):  # around what is compiled, which knows each module's mode
            losses = losses[0], scored_without_dropout(self.model, losses[1])
        self.loss_sum, self.token_losses = losses if self.shared is None else self.shared.compute(*losses)

    def _first_weights(self) -> Mapping[str, Tensor]:
        """All weights, on the processor, also where each process holds a part of them."""
        if self.initial_weights is not None:
            return self.initial_weights
        assert isinstance(self.model, Decoder), "several processes train no model of the user's own"
        plain = Decoder(self.model.shape, self.model.vocabulary).to(getattr(torch, self.recipe.compute.weights))
        initialize(plain, self.recipe.initialization, initialization_seed(self.seed))
        return plain.state_dict()


def build_engine(
    recipe: Recipe,
    vocabulary: int,
    seed: int,
    initial_weights: Mapping[str, Tensor] | None = None,
    together: Together = ALONE,
) -> Engine:
    """Build and initialise the model of `recipe` on the best device there is. Nothing is compiled yet."""
    watch_neighbours()
    device_choice = choose_device(recipe.compute.device)
    check_device(together, device_choice.value)
    precision = choose_precision(recipe.compute.precision, device_choice.value)
    compiling = choose_compile(recipe, vocabulary, device_choice.value)
    device = torch.device(device_choice.value)
    model: Decoder | OwnModel
    if recipe.own.model:
        if together.several:
            raise InputError("a model of your own is trained by one process; leave out --processes")
        model = build_own(recipe, vocabulary, initialization_seed(seed), getattr(torch, precision.value))
    else:
        model = Decoder(recipe.model, vocabulary, getattr(torch, precision.value))
    model.to(device=device, dtype=getattr(torch, recipe.compute.weights))
    choices = {
        "device": device_choice,
        "threads": chosen_threads(),
        "waiting": Choice(*WAITING),
        "precision": precision,
        "compile": compiling,
        "fused": choose_fused(device_choice.value, precision.value),
        "updates": choose_updates(device_choice.value),
        "graph": choose_graph(device_choice.value, recipe.batch.accumulation),
        **(OF_OWN_OPTIMIZER if recipe.own.optimizer else {}),
        "memory": keep_freed_memory(),
        **together.choices(),
    }
    compiled = compiling.value == "on"
    if compiled:
        # One engine is alive at a time; without this, Dynamo would stop compiling after the eighth run of a ladder.
        torch.compiler.reset()
        choices["compiled"] = reuse_compiled()
        if device.type == "cpu":
            do_without_openssl()
            make_first_kernel()
    shared = None
    if together.several:
        from fabula.train.processes.sharing import share_out  # DDP and FSDP take over a second to load

        assert isinstance(model, Decoder), "several processes train no model of the user's own"
        shared = share_out(model, together.sharded, device.type, compiled)
    if isinstance(model, OwnModel) and initial_weights is None:
        initial_weights = {name: each.detach().to("cpu", copy=True) for name, each in model.state_dict().items()}
    losses = loss_functions(model, recipe.batch.hidden_tokens > 0)
    optimizer = optimizer_of(model, recipe)
    engine = Engine(
        recipe, seed, model, optimizer, device, choices, *losses, initial_weights, together=together, shared=shared
    )
    engine.set_losses(compiled)
    engine.reset()
    return engine


def optimizer_of(model: Decoder | OwnModel, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer, or the user's own, whose every rate follows the schedule."""
    if not recipe.own.optimizer:
        return make_optimizer(model, recipe.optimizer, recipe.schedule.peak)
    build = function_named(recipe.own.optimizer, "own.optimizer")
    made = build(model, recipe.optimizer, recipe.schedule.peak)
    if not isinstance(made, torch.optim.Optimizer):
        raise InputError(f"own.optimizer: it returns {type(made).__name__}, not a torch.optim.Optimizer")
    return made


def loss_functions(model: Decoder | OwnModel, some_hidden: bool) -> tuple[LossSum, TokenLosses]:
    """What is differentiated (the sum over a batch, some of whose tokens may be hidden) and what is scored (the loss of
    each token), both uncompiled."""

    if isinstance(model, OwnModel):
        own = model
        return lambda inputs_BT, targets_BT: own.token_losses(inputs_BT, targets_BT).sum(), own.token_losses

    def loss_sum(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        return model.loss(model.hidden(inputs_BT, some_hidden=some_hidden), targets_BT)

    def losses(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        x_ND = model.hidden(inputs_BT).flatten(0, 1).to(model.compute_dtype)
        flat = token_losses(x_ND, model.head_weight, model.head_bias, targets_BT.flatten(), model.shape.logit_cap)
        return flat.view_as(targets_BT)

    return loss_sum, losses


def warm_up(
    engine: Engine,
    source: Source,
    notice: Callable[[str], None],
    measure: Probe = THOROUGH,
    evaluates: bool = True,
) -> None:
    """Compile the step, and the evaluation where the engine `evaluates`; measure the seconds of a step on real batches;
    then start over from the initial weights.

    Where compilation fails, the plain path takes its place and the reason is kept.
    """
    started = time.perf_counter()
    if engine.choices["compile"].value == "on":
        notice(
            "compiling the training step (half a minute to a minute the first time, longer beside other programs; "
            "then seconds: the result is kept)"
        )
        try:
            with telling(notice, "compiling"):
                engine.step(source, 1)
        except ProcessLost:
            raise
        except RuntimeError as error:  # Dynamo, Inductor or a C++ compiler; a defect of ours is raised again below
            engine.set_losses(compiled=False)
            engine.renew_optimizer()  # what makes the updates holds on to the losses
            reason = f"torch.compile failed: {str(error).splitlines()[0][:160]}"
            engine.choices["compile"] = Choice("off", reason)  # said with the other choices
            engine.choices.pop("compiled", None)
            notice("compiling failed; the training goes on without it, more slowly")
    engine.step(source, 1)
    if engine.device_step is not None and (why := engine.device_step.no_graph) is not None:
        engine.choices["graph"] = Choice("off", f"the update could not be recorded as a CUDA graph: {why}")
        notice("the update could not be recorded as a CUDA graph; the training goes on without it, more slowly")
    if evaluates and engine.choices["compile"].value == "on":
        with telling(notice, "compiling, now the evaluation"):
            _compile_scoring(engine)
    engine.compile_seconds = time.perf_counter() - started
    engine.step_seconds = statistics.median(probe(engine, source, measure))
    engine.reset()


def _compile_scoring(engine: Engine) -> None:
    """Score rows that do not matter, in each shape that evaluations have: compiling is no part of their time."""
    context = engine.recipe.model.context
    for each in {context, min(context, COMMON_CONTEXT)}:
        tokens_BT = torch.zeros(rows_of_batch(each), each, dtype=torch.int64, device=engine.device)
        with torch.no_grad():
            engine.token_losses(tokens_BT, tokens_BT)


def probe(engine: Engine, source: Source, measure: Probe = THOROUGH) -> list[float]:
    """Seconds of each of a few steps, of which a short run has its last one several times."""
    seconds: list[float] = []
    while len(seconds) < measure.least or (len(seconds) < measure.most and sum(seconds) < measure.seconds):
        started = time.perf_counter()
        engine.step(source, min(len(seconds) + 1, engine.recipe.steps))
        seconds += engine.together.same(time.perf_counter() - started)
    return seconds
