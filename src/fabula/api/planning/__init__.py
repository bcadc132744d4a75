"""`fabula.plan`: what to train here (docs/plan.md)."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from fabula.api.paths import Where, need_torch, path_of
from fabula.api.planning.wish import Wish
from fabula.errors import InputError
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES, PLAN, known_family
from fabula.recipe.presets.shapes import Size, in_size
from fabula.recipe.schema import Recipe
from fabula.record.reader import find_runs, read_run
from fabula.study.frontier.choice import Candidate, Expected
from fabula.study.frontier.known import Knowledge, KnownRun, knowledge_for, known_run, most_known

if TYPE_CHECKING:
    from fabula.api.planning.planner import Planner

FASTER = 4
"""How many times as fast the bigger machine is, of which a plan tells what it would change."""

Limit = Literal["time", "stories", "memory", "records"]


class OtherFamily(NamedTuple):
    """What would be chosen in another family; its sizes were not timed."""

    name: str
    chosen: Candidate
    expected: Expected


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    """With its steps; ready to be trained."""
    chosen: Candidate
    total_parameters: int
    step_seconds: float
    unique: int
    """Tokens of the training stories."""
    expected: Expected | None
    """None where nothing is known of such stories, or of so long a training."""
    half: Expected | None
    """With half of the time, where time was asked for; None where that is beyond what is known."""
    twice: Expected | None
    faster: tuple[Candidate, Expected] | None
    """What would be chosen for the same time on a machine FASTER times as fast."""
    limit: Limit | None
    """What keeps the loss from being lower, where time was asked for."""
    other: OtherFamily | None
    """What another family would reach in the same time."""
    knowledge: Knowledge
    doubt: str | None
    """Why no loss is told."""

    @property
    def epochs(self) -> float:
        return self.chosen.tokens / self.unique


def plan(
    data: Where,
    *,
    minutes: float | None = None,
    tokens: int | None = None,
    parameters: int | None = None,
    loss: float | None = None,
    family: str = FAMILIES[0],
    runs: Iterable[Where] = (),
    threads: int | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> Plan:
    """What to train on the stories in `data`, on this machine: with so many minutes; or with so many tokens; or with at
    most so many weights; or for so low a loss (nats a GPT-2 token). A few steps are timed. `family`: the preset in
    whose sizes it is planned, "modern" or "modern-portable". `runs`: finished runs of one's own, or folders of them (as
    `fabula ladder frontier` makes), which count as the kept ones do.

    Raises InputError for anything wrong with these, and where no size that is known serves the wish.
    """
    need_torch()
    return planned_for(Wish(minutes, tokens, parameters, loss).checked(), family, data, runs, threads, notice)


def planned_for(
    wish: Wish,
    family: str,
    data: Where,
    runs: Iterable[Where],
    threads: int | None,
    notice: Callable[[str], None],
) -> Plan:
    """The plan for a wish that was checked."""
    from fabula.api.planning.planner import Planner  # spares what only reads a run torch
    from fabula.data.dataset import open_dataset
    from fabula.train.life.length.estimate import check_fit
    from fabula.train.life.length.probing import step_seconds
    from fabula.train.machine.pace import Pace, usual_seconds
    from fabula.train.machine.threads import use_threads

    preset = load_recipe(known_family(family))
    prepared = open_dataset(path_of(data), preset.tokenizer)
    check_fit(preset, prepared)
    use_threads(threads)
    own = own_runs(family, runs, notice)

    def known_of(name: str) -> Knowledge | None:
        context, manifest = load_recipe(name).model.context, prepared.manifest
        return knowledge_for(name, context, manifest.splits["validation"].text_hash, manifest.source, own)

    def planner_of(name: str, law: Knowledge, pace: Pace) -> Planner:
        recipes = _recipes(name, pace.usual, prepared.tokenizer.vocabulary)
        planner = Planner(prepared, law.frontier, pace, _fitting(recipes))
        planner.keep_known()
        return planner

    knowledge, doubt = known_of(family), None
    if knowledge is None:
        knowledge = most_known(family, preset.model.context)
        doubt = f"too few runs on stories like these are known; the size is chosen as for {knowledge.corpus}"
        if wish.loss is not None:
            raise InputError(
                "which loss can be reached on these stories is not known; make runs on them (`fabula ladder frontier`) "
                "and name them with --runs, or give --minutes"
            )
    here = Pace(
        usual_seconds(family, preset.model.context), lambda size: step_seconds(planner.recipes[size], prepared, notice)
    )
    planner = planner_of(family, knowledge, here)
    chosen = _chosen(planner, wish)
    other = None
    if doubt is None and wish.minutes is not None:
        name = next(each for each in FAMILIES if each != family)
        if (of_other := known_of(name)) is not None:
            with suppress(InputError):  # none of its sizes is known or fits, which is no reason to refuse this plan
                pace = here.of_others(usual_seconds(name, preset.model.context))
                other = _in_other(planner_of(name, of_other, pace), name, chosen.seconds)
    return _told(planner, knowledge, doubt, chosen, wish, other)


def _recipes(family: str, sizes: Iterable[Size], vocabulary: int) -> dict[Size, Recipe]:
    name = PLAN if family == FAMILIES[0] else f"{PLAN}/{family}"
    values = {"name": name, "model.vocabulary": vocabulary}
    return {size: in_size(load_recipe(family), size).with_values(**values) for size in sizes}


def _fitting(recipes: Mapping[Size, Recipe]) -> dict[Size, Recipe]:
    """Those that fit into the free memory. Raises InputError where none does."""
    from fabula.train.life.length.probing import fits_memory  # spares what only reads a run torch

    fitting = {size: each for size, each in recipes.items() if fits_memory(each)}
    if not fitting:
        raise InputError("not even the smallest size that is planned fits into the free memory; end other programs")
    return fitting


def _in_other(planner: "Planner", name: str, seconds: float) -> OtherFamily | None:
    """What another family would reach in as many seconds; None where that is not known."""
    chosen = planner.best_if_any(seconds)
    told = None if chosen is None else planner.expects(chosen)
    return None if chosen is None or told is None else OtherFamily(name, chosen, told)


def _chosen(planner: "Planner", wish: Wish) -> Candidate:
    """What serves the wish. The pace of a size that was not timed is a guess: what is chosen is timed, and the choice
    made again, until it stays. Where the guesses come from a processor and a GPU trains, larger sizes are guessed too
    slow: there the next larger one is timed as well."""
    planner.pace.measure(planner.pace.middle(planner.recipes))
    while True:
        if wish.minutes is not None:
            chosen = planner.best_in(wish.minutes * 60)
        elif wish.tokens is not None:
            chosen = planner.well_spent_on(wish.tokens)
        elif wish.parameters is not None:
            chosen = planner.filling(wish.parameters)
        else:
            assert wish.loss is not None, "a wish that was checked has something given"
            chosen = planner.reaching(wish.loss)
        larger = planner.larger(chosen.size) if planner.on_gpu else None
        to_time = [size for size in (chosen.size, larger) if size is not None and size not in planner.pace.measured]
        if not to_time:
            return chosen
        planner.pace.measure(to_time[0])


def _told(
    planner: "Planner",
    knowledge: Knowledge,
    doubt: str | None,
    chosen: Candidate,
    wish: Wish,
    other: OtherFamily | None,
) -> Plan:
    """Everything else that a plan says of what was chosen."""
    expects = planner.expects if doubt is None else lambda candidate: None
    if doubt is None and expects(chosen) is None:
        few = not planner.reach.enough_stories
        doubt = "what so few stories allow was not measured" if few else "so short a training was not measured"
    half = twice = faster = None
    if wish.minutes is not None:
        half, twice, faster = (planner.best_if_any(times * chosen.seconds) for times in (0.5, 2.0, FASTER))
    in_that = None if faster is None else expects(faster)
    return Plan(
        recipe=planner.recipe(chosen),
        chosen=chosen,
        total_parameters=planner.total_parameters(chosen.size),
        step_seconds=planner.pace.step_seconds(chosen.size),
        unique=planner.unique,
        expected=expects(chosen),
        half=None if half is None else expects(half),
        twice=None if twice is None or twice.cut else expects(twice),
        faster=None if faster is None or in_that is None or faster.cut else (faster, in_that),
        limit=None if twice is None else _limit(planner, chosen, twice),
        other=other,
        knowledge=knowledge,
        doubt=doubt,
    )


def _limit(planner: "Planner", chosen: Candidate, twice: Candidate) -> Limit:
    """What stands most in the way of a lower loss: stories, where they would come again too often, or as many new ones
    as are trained on would bring more than twice the time; else what keeps larger models or longer trainings out."""
    law = planner.frontier.law
    now, with_time, with_stories = (
        law.loss(each.parameters, each.tokens, unique)
        for each, unique in ((chosen, planner.unique), (twice, planner.unique), (chosen, chosen.tokens))
    )
    if (chosen.cut and planner.most(chosen.size).stories_end) or now - with_stories > now - with_time:
        return "stories"
    if chosen.cut:
        return "records"
    if planner.larger(chosen.size) is not None:
        return "time"
    return "memory" if len(planner.fitting) < len(planner.pace.usual) else "records"


def own_runs(family: str, runs: Iterable[Where], notice: Callable[[str], None]) -> tuple[KnownRun, ...]:
    """What the laws need of finished runs in these folders; of one that cannot be read, a line. Raises InputError for a
    folder without any of the family."""
    found: list[KnownRun] = []
    for where in runs:
        known = []
        for folder in find_runs(path_of(where)):
            try:
                each = known_run(read_run(folder))
            except (InputError, KeyError, TypeError, ValueError) as error:
                notice(f"{folder} is left out: {error}")
                continue
            known += [] if each is None else [each]
        if not any(each.family == family for each in known):
            raise InputError(
                f"{path_of(where)} holds no finished run of {family} in any size with a validation loss a GPT-2 token; "
                "leave it out"
            )
        found += known
    return tuple(found)
