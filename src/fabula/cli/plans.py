"""A plan in words, and as values."""

from typing import TYPE_CHECKING, Any

from fabula.cli.screen.terminal import show
from fabula.record.wording import count_text, duration_text, number, parameters_text, plural, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabula.api.planning import OtherFamily, Plan
    from fabula.api.planning.wish import Wish
    from fabula.data.dataset import Dataset
    from fabula.recipe.schema import Recipe
    from fabula.study.frontier.choice import Candidate, Expected
    from fabula.study.frontier.known import Knowledge

LIMITS = {
    "time": "time: the stories would last for a longer training, and larger models are known",
    "stories": "the stories: more of them would bring more than more time; for many epochs, batch.hidden_tokens helps",
    "memory": "memory: larger models do not fit into what is free",
    "records": "what is known: no larger model and no longer training was measured",
}


WHO_RUNS_IT = {
    "modern": "whose models only fabula runs",
    "modern-portable": "whose models transformers, llama.cpp and Ollama run as well",
}
"""Family -> why one would take it, or would not."""


def planned_recipe(wish: "Wish", family: str, data: str, threads: int | None) -> "Recipe":
    """What `fabula train plan` trains; the plan is told."""
    from fabula.api.planning import planned_for

    made = planned_for(wish, family, data, (), threads, lambda text: show(text, stderr=True))
    for line in told(made):
        show(line, stderr=True)
    return made.recipe


def told(plan: "Plan") -> list[str]:
    """What is planned, a line for each thing that one wants to know."""
    recipe, model, chosen = plan.recipe, plan.recipe.model, plan.chosen
    shape = f"{plural(model.layers, 'layer')} of width {model.width} with {plural(model.heads, 'head')}"
    sizes = (
        f"{parameters_text(plan.total_parameters)} weights, {parameters_text(chosen.parameters)} at work for each token"
    )
    steps = f"{plural(recipe.steps, 'step')} of {recipe.positions_per_step:,} tokens"
    lines = [
        f"model      {shape}, context {model.context}, {recipe.tokenizer}: {sizes}",
        f"training   {steps}: {count_text(chosen.tokens)}, {_times(plan.epochs)}; rate {number(recipe.schedule.peak)}",
        f"time       about {duration_text(chosen.seconds)} with evaluations, {number(plan.step_seconds)} s a step",
        f"loss       {_loss(plan)}",
    ]
    if plan.half is not None:
        lines.append(f"           {plan.half.loss:.2f} with half the time")
    if plan.twice is not None:
        lines.append(f"           {plan.twice.loss:.2f} with twice the time")
    if plan.faster is not None:
        lines.append(f"           {_faster(*plan.faster)}")
    if plan.other is not None:
        lines.append(f"           {_other(plan.other)}")
    if plan.limit is not None:
        lines.append(f"limit      {LIMITS[plan.limit]}")
    return [*lines, f"rests on   {_rests(plan)}"]


def expectation_told(recipe: "Recipe", data: "Dataset") -> str | None:
    """What is known of the loss that a recipe will reach, for a dry run; None where nothing is."""
    from fabula.study.frontier.known import expectation

    train, manifest = data.split("train"), data.manifest
    validation = manifest.splits["validation"].text_hash
    known = expectation(recipe, validation, manifest.source, train.num_tokens + train.num_stories)
    return None if known is None else f"loss expected: {_level(*known)}"


def _times(epochs: float) -> str:
    return f"{share(epochs)} of the stories" if epochs < 1 else f"the stories {epochs:.1f} times"


def _loss(plan: "Plan") -> str:
    return f"not told: {plan.doubt}" if plan.expected is None else _level(plan.expected, plan.knowledge)


def _level(expected: "Expected", knowledge: "Knowledge") -> str:
    """The range was learned on certain validation stories: of others only the level is told."""
    level = f"{expected.loss:.2f} nats a GPT-2 token ({expected.loss * knowledge.bits_per_nat:.2f} bits a byte)"
    if not knowledge.same_stories:
        return f"about {level}, as on other validation stories of this kind"
    return f"{level}; four of five runs should end between {expected.low:.2f} and {expected.high:.2f}"


def _faster(candidate: "Candidate", expected: "Expected") -> str:
    from fabula.api.planning import FASTER

    return (
        f"{expected.loss:.2f} on a machine {FASTER} times as fast, with {candidate.size.layers} layers of width "
        f"{candidate.size.width}"
    )


def _other(other: "OtherFamily") -> str:
    size = f"{other.chosen.size.layers} layers of width {other.chosen.size.width}"
    return f"{other.expected.loss:.2f} in as much time with {other.name} ({size}), {WHO_RUNS_IT[other.name]}"


def _rests(plan: "Plan") -> str:
    runs = plan.knowledge.runs
    weights, tokens = _from_to([run.parameters for run in runs]), _from_to([run.tokens for run in runs])
    return (
        f"{plural(len(runs), 'run')} on {plan.knowledge.corpus}, of {weights} M weights at work and {tokens} M tokens"
    )


def _from_to(values: "Sequence[int]") -> str:
    return f"{number(min(values) / 1e6)} to {number(max(values) / 1e6)}"


def as_values(plan: "Plan") -> dict[str, Any]:
    """The same for programs."""

    def loss(expected: "Expected | None") -> dict[str, Any] | None:
        if expected is None:
            return None
        mean, *interval = (round(value, 4) for value in (expected.loss, expected.low, expected.high))
        return {"mean": mean, "interval": interval}

    per_nat = plan.knowledge.bits_per_nat
    return {
        "recipe": plan.recipe.as_tree(),
        "parameters": {"total": plan.total_parameters, "multiplying": plan.chosen.parameters},
        "steps": plan.recipe.steps,
        "tokens": int(plan.chosen.tokens),
        "epochs": round(plan.epochs, 4),
        "seconds": round(plan.chosen.seconds, 2),
        "step_seconds": round(plan.step_seconds, 5),
        "expected_loss": loss(plan.expected),
        "expected_bits_per_byte": None if plan.expected is None else round(plan.expected.loss * per_nat, 4),
        "half_the_time": loss(plan.half),
        "twice_the_time": loss(plan.twice),
        "faster_machine": loss(plan.faster[1]) if plan.faster else None,
        "other_family": {"name": plan.other.name, "expected_loss": loss(plan.other.expected)} if plan.other else None,
        "limit": plan.limit,
        "doubt": plan.doubt,
        "runs": len(plan.knowledge.runs),
        "corpus": plan.knowledge.corpus,
        "same_stories": plan.knowledge.same_stories,
    }
