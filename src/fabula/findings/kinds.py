"""The one table of kinds: what each kind of finding says, which rule makes it, and where the page shows it.

All else reads this table: the rules that are run, the kinds of docs/findings.md, the topics, marks and advice of the
page. The order is that of the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fabula.findings.rule import Rule
from fabula.findings.rules import completions, events, gradient, internals, machine
from fabula.findings.rules.losses import accumulation, instability, loss, normal
from fabula.findings.rules.settings import restarts, schedule, setup


@dataclass(frozen=True)
class Topic:
    """A heading of the page."""

    title: str
    figures: tuple[str, ...] = ()
    """The figures that show it: the first one that is drawn is linked."""
    beside: str = ""
    """The figure that it is told beside, of a single run; empty: further down."""
    always_told: bool = False
    """Where nothing was found, the page says what was looked for: what the original interpretation speaks of."""


LOSS = Topic("Loss", ("val", "train"), "val", always_told=True)
GENERALISATION = Topic("Generalisation", ("val", "train"), "val", always_told=True)
STABILITY = Topic("Stability", ("val", "train"), "train", always_told=True)
STOPPING_POINT = Topic("Stopping point", ("val", "train"), "val", always_told=True)
GRADIENT_NORM = Topic("Gradient norm", ("norm",), "norm", always_told=True)
SCHEDULE = Topic("Learning-rate schedule", ("rate",), "rate", always_told=True)
SET_UP = Topic("Set-up", ("val", "train"))
INSIDE = Topic("Inside the model", ("val", "train"))
MACHINE = Topic("The machine")
COMPLETIONS = Topic("Completions")
LADDER = Topic("Ladder")
"""Told in sections of their own: the stories, and the effects."""


@dataclass(frozen=True)
class Kind:
    name: str
    topic: Topic
    rule: Rule | None
    """Which rule makes it; None for what `fabula.study` finds in several runs."""
    line: str
    """What defines it."""
    marked_on: tuple[str, ...] = ()
    """The figures that mark its steps."""
    is_episode: bool = False
    """A stretch of steps in which the training goes wrong: it has a row of its own in the timeline."""
    remembered: bool = False
    """Whether it is worth remembering of a single run."""
    health: str = ""
    """What is wrong with a run that has it, where the name does not say it by itself."""
    note: str = ""
    """What the results table says of a phase that has it in every run."""
    advice: str = ""
    """What to do next."""
    kept: tuple[str, str] = ("", "")
    """What a story does well where it was not found: of one, of several."""


_TABLE = (
    Kind("initial_loss_off", LOSS, loss.initial_loss,
         "the untrained model's loss is more than 5 % away from ln V (V: tokens in the vocabulary)",
         marked_on=("val", "train"), note="first loss far from ln V"),
    Kind("fast_start", LOSS, loss.fast_start,
         "the loss makes three quarters of its whole fall in the first 15 % of the run"),
    Kind("among_its_kind", LOSS, normal.among_its_kind,
         "where the final loss stands among kept runs of about its size and tokens, on the same stories"),
    Kind("epoch_staircase", LOSS, loss.staircase,
         "training loss drops suddenly where an epoch ends, more than before and after"),
    Kind("loss_scaled_by_accumulation", LOSS, accumulation.scaled_by_accumulation,
         "the logged training loss is multiplied or divided by the gradient accumulation",
         marked_on=("train",)),
    Kind("generalizes", GENERALISATION, loss.generalisation,
         "at the end, validation and training loss are within 5 % of each other"),
    Kind("validation_below_training", GENERALISATION, accumulation.validation_below,
         "over the later half, validation loss lies more than 5 % below training loss"),
    Kind("overfitting", GENERALISATION, loss.generalisation,
         "validation loss ends 1 % or more above its lowest while training loss kept falling",
         marked_on=("val",), remembered=True, note="overfits"),
    Kind("stable", STABILITY, instability.instabilities,
         "no loss curve has a spike, a divergence, or a value that is not finite"),
    Kind("spike", STABILITY, instability.instabilities,
         "the loss rises suddenly and is back within two evaluations or 2 % of the run",
         marked_on=("val", "train", "norm"), is_episode=True),
    Kind("divergence", STABILITY, instability.instabilities,
         "the loss rises suddenly and is not back within two evaluations or 2 % of the run",
         marked_on=("val", "train", "norm"), is_episode=True, health="diverged"),
    Kind("data_changed", STABILITY, instability.instabilities,
         "the loss is another one at once where a column of the log says that the data or the phase changes",
         marked_on=("val", "train")),
    Kind("recovery", STABILITY, instability.instabilities,
         "after a divergence, three quarters of the rise are gone again",
         marked_on=("val", "train")),
    Kind("non_finite", STABILITY, instability.non_finite,
         "a loss or gradient norm that is not a finite number",
         marked_on=("val", "train", "norm"), is_episode=True, health="loss not a number"),
    Kind("batch_skipped", STABILITY, events.guards,
         "a guard skipped the update of a batch",
         marked_on=("val", "train")),
    Kind("rolled_back", STABILITY, events.guards,
         "a guard took the run back to an earlier checkpoint",
         marked_on=("val", "train", "norm", "rate")),
    Kind("record_incomplete", STABILITY, events.guards,
         "lines of the record were lost before the run was resumed: its curves have a gap",
         marked_on=("val", "train", "norm", "rate")),
    Kind("still_improving", STOPPING_POINT, loss.stopping_point,
         "the last fifth of the run lowers the loss by 1 % or more, and by more than its noise",
         remembered=True, note="still falling at the end",
         advice="Train longer: the loss was still falling at the end."),
    Kind("plateau", STOPPING_POINT, loss.stopping_point,
         "the last third of the run lowers the loss by less than 1 %; a failure if almost nothing was learned",
         remembered=True, health="learned nothing", note="levelled off",
         advice="More steps alone will not help much. Try a larger model, more stories or another learning rate."),
    Kind("too_few_steps", STOPPING_POINT, setup.too_few_steps,
         "the run has fewer updates than the optimizer's averages need",
         advice="Train longer: these are too few steps for the optimizer, which averages over many."),
    Kind("interrupted", STOPPING_POINT, events.interrupted,
         "the run did not make all of its steps",
         health="stopped early"),
    Kind("gradient_spike_at_start", GRADIENT_NORM, gradient.norms,
         "in the first tenth the norm is three times its later median or more, and then falls"),
    Kind("gradient_settled", GRADIENT_NORM, gradient.norms,
         "over the second half the norm's level changes by less than half of itself"),
    Kind("gradient_growth", GRADIENT_NORM, gradient.norms,
         "the norm's level doubles between the middle of the run and its end",
         marked_on=("norm",)),
    Kind("gradient_hump", GRADIENT_NORM, gradient.hump,
         "after its first fall the norm doubles over a twelfth of the run or more, and falls again to less than half",
         marked_on=("norm",)),
    Kind("gradient_explosion", GRADIENT_NORM, gradient.norms,
         "after the start, in three steps or more the norm is above fifty times its lower quartile",
         marked_on=("val", "train", "norm"), is_episode=True, health="gradients exploded"),
    Kind("clipping_dominates", GRADIENT_NORM, gradient.clipping,
         "after the start, more than half of the steps are clipped to less than half of their norm"),
    Kind("schedule_ok", SCHEDULE, schedule.shape,
         "warmup, peak, then a decay that never rises, to half of the peak or less"),
    Kind("lr_fixed", SCHEDULE, schedule.shape,
         "the learning rate is the same from the first step to the last"),
    Kind("lr_rising", SCHEDULE, schedule.shape,
         "the learning rate rises after the warmup",
         marked_on=("rate",), remembered=True),
    Kind("lr_floor_above_peak", SCHEDULE, schedule.floor_above_peak,
         "the recipe's floor is higher than its peak"),
    Kind("lr_too_high", SCHEDULE, schedule.too_high,
         "AdamW's learning rate is as large as the weights that it moves"),
    Kind("lr_peak_not_reached", SCHEDULE, schedule.shape,
         "the run ends before the warmup does",
         marked_on=("rate",)),
    Kind("lr_jump_on_resume", SCHEDULE, schedule.jump_on_resume,
         "after a resume the learning rate is not what it was before",
         marked_on=("rate",)),
    Kind("lr_raised", SCHEDULE, restarts.raised_again,
         "after its warmup the learning rate is raised, by half or more, above all that came before",
         marked_on=("rate",)),
    Kind("lr_restarts", SCHEDULE, restarts.raised_again,
         "the learning rate falls and is raised again, to its earlier peak at most"),
    Kind("lr_start_not_seen", SCHEDULE, schedule.shape,
         "the record begins after the run did, with a learning rate that only falls: no warmup is to be seen"),
    Kind("warmup_missing", SCHEDULE, schedule.shape,
         "a decaying schedule begins at half of its peak or more"),
    Kind("warmup_too_long", SCHEDULE, schedule.shape,
         "the warmup takes more than a fifth of the run, and is not that of a one-cycle schedule",
         marked_on=("rate",)),
    Kind("schedule_in_micro_steps", SCHEDULE, schedule.micro_steps,
         "the schedule counts forward-backward passes instead of optimizer updates",
         marked_on=("rate",)),
    Kind("window_never_binds", SET_UP, setup.window,
         "the sliding window is not shorter than the context, so that it changes nothing"),
    Kind("updates_lost_to_rounding", SET_UP, setup.rounding,
         "weights are stored in bfloat16, and steps are too small to change them",
         remembered=True),
    Kind("evaluation_too_noisy", SET_UP, setup.evaluation_noise,
         "the validation loss goes up and down by more than 2 % from one evaluation to the next"),
    Kind("eot_missing", SET_UP, setup.end_of_text,
         "stories are not separated by an end-of-text token"),
    Kind("weights_unchanged", INSIDE, internals.looks,
         "in three looks in a row, updates leave more than 90 % of a layer's weights exactly as they were",
         marked_on=("val", "train")),
    Kind("dead_units", INSIDE, internals.looks,
         "in three looks in a row, more than 90 % of a layer's feed-forward units are silent",
         marked_on=("val", "train")),
    Kind("vanishing_gradient", INSIDE, internals.looks,
         "in three looks in a row, a layer's gradient is less than a thousandth of another's",
         marked_on=("val", "train")),
    Kind("attention_logits_growing", INSIDE, internals.looks,
         "in three looks in a row, an attention logit is above 100 and four times the first look's, or above 1,000",
         marked_on=("val", "train")),
    Kind("updates_too_small", INSIDE, internals.looks,
         "near its highest learning rate, updates are less than 1/100,000 of the length of the weights that they move"),
    Kind("updates_too_large", INSIDE, internals.looks,
         "after the first tenth of the run, in three looks in a row, updates are above a tenth of the weights' length"),
    Kind("throughput_dropped", MACHINE, machine.throughput,
         "from some step on the training is slower by a quarter or more, to the end of the record"),
    Kind("memory_growing", MACHINE, machine.memory,
         "the memory in use grows all the time, by a tenth or more, and is still growing at the end"),
    Kind("prompt_drift", COMPLETIONS, completions.prompt_drift,
         "the completion leaves the topic of the prompt, or says he where the prompt said she",
         kept=("keeps to what its prompt named", "keep to what their prompts named")),
    Kind("repetition", COMPLETIONS, completions.repetition,
         "the completion says the same words again and again, more than any real story does",
         kept=("goes on without repeating itself", "go on without repeating themselves")),
    Kind("inconsistency", COMPLETIONS, completions.inconsistency,
         "a character was never introduced, or the only character changes from he to she",
         kept=("keeps track of its characters", "keep track of their characters")),
    Kind("copying", COMPLETIONS, completions.copying,
         "a long part of the completion stands word for word in the training stories",
         remembered=True,
         kept=("is the model's own: no long part of it stands in the training stories",
               "are the model's own: no long part of them stands in the training stories")),
    Kind("effect", LADDER, None,
         "what a phase changed in the final loss, paired by seed, with its interval and verdict (docs/report.md)"),
    Kind("interaction", LADDER, None,
         "how much more one change does if another is there too, with its interval and verdict"),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _TABLE}
assert len(KINDS) == len(_TABLE), "a kind is declared once"
TOPICS: dict[Topic, tuple[Kind, ...]] = {
    topic: tuple(kind for kind in _TABLE if kind.topic is topic)
    for topic in dict.fromkeys(kind.topic for kind in _TABLE)
}
RULES: dict[Rule, tuple[str, ...]] = {
    rule: tuple(kind.name for kind in _TABLE if kind.rule is rule)
    for rule in dict.fromkeys(kind.rule for kind in _TABLE)
    if rule is not None
}
"""Every rule, and the kinds that it may find."""


def marks_of(figure: str) -> Sequence[str]:
    """The kinds whose steps a figure marks."""
    return [kind.name for kind in _TABLE if figure in kind.marked_on]
