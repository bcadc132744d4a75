"""Which runs are seeds of one recipe, which recipes stand side by side, and which stand apart; and why, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fabula.record.wording import plural, seeds_text
from fabula.study.grouping.content import Content, differing

MOST_LISTED = 4
"""Runs that a sentence names."""
MOST_NAMED = 3
"""Fields that a name holds; a recipe that differs in more is told by the first of them."""


@dataclass(frozen=True)
class Group:
    """Runs of one recipe on the same stories by the same ruler, a seed each."""

    tier: str
    phase: str
    runs: tuple[Content, ...]
    against: str = ""
    """The recipe that it is told from; empty for the first of a tier."""
    differs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Field -> value there and here."""

    @property
    def change(self) -> str:
        """`optimizer.kind (muon instead of adamw)`"""
        told = [f"{name} ({_value(here)} instead of {_value(there)})" for name, (there, here) in self.differs.items()]
        return _some(told)


@dataclass(frozen=True)
class Grouping:
    groups: tuple[Group, ...] = ()
    told: tuple[str, ...] = ()
    """Sentences: what was put together, what stands apart, what was left out, and why."""

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "tier": each.tier,
                "phase": each.phase,
                "runs": [{"path": str(run.path), "seed": run.seed} for run in each.runs],
                "against": each.against or None,
                "differs": {name: list(values) for name, values in each.differs.items()},
            }
            for each in self.groups
        ]


def grouped(runs: Sequence[Content], planned: Sequence[Group] = ()) -> Grouping:
    """The runs of `runs` in groups, in the order in which they come. Those of a ladder, `planned`, have theirs: a run
    of an equal recipe joins them as a further seed."""
    tiers: list[list[Group]] = []
    for each in planned:
        at = next((tier for tier in tiers if tier[0].tier == each.tier), None)
        tiers.append([each]) if at is None else at.append(each)
    left_out: list[str] = []
    for run in runs:
        tier = next((tier for tier in tiers if _may_stand_beside(run, tier)), None)
        if tier is None:
            tiers.append([_first(run, tiers)])
            continue
        _put(run, tier, left_out)
    groups = tuple(each for tier in tiers for each in tier)
    return Grouping(groups, (*_sentences(tiers, planned), *left_out))


def _may_stand_beside(run: Content, tier: Sequence[Group]) -> bool:
    others = [each for group in tier for each in group.runs]
    if run.fields is None or not others or any(each.fields is None for each in others):
        return False
    return not run.measured.unlike(others[0].measured) and run.is_as_large(others[0])


def _first(run: Content, tiers: Sequence[Sequence[Group]]) -> Group:
    """A tier of its own, whose name says what sets it apart from an earlier one of that name."""
    taken = [tier[0].tier for tier in tiers]
    name = run.tier
    same = next((tier[0] for tier in tiers if tier[0].tier == run.tier and tier[0].runs), None)
    if same is not None and (unlike := run.measured.unlike(same.runs[0].measured)):
        name = f"{run.tier} ({unlike})"
    if name in taken:
        name = f"{run.tier} ({run.path.name})"
    if name in taken:
        name = f"{run.tier} ({run.path})"
    return Group(name, run.phase, (run,))


def _further(run: Content, tier: Sequence[Group]) -> Group:
    """Another recipe of a tier, called by what differs where its name is taken."""
    base = next((group for group in tier if group.runs and group.phase == run.phase), None)
    base = base or next(group for group in tier if group.runs)
    first = base.runs[0]
    fields = differing([first, run])
    differs = {name: ((first.fields or {}).get(name), (run.fields or {}).get(name)) for name in fields}
    taken = [group.phase for group in tier]
    name = run.phase
    if name in taken:
        follows = {"schedule.warmup"} if "steps" in differs else set()  # a warmup is scaled with the steps
        what = _some([f"{field}={_value(here)}" for field, (_, here) in differs.items() if field not in follows])
        name = f"{run.phase}, {what}" if what else f"{run.phase} ({run.path.name})"
    if name in taken:
        name = f"{run.phase} ({run.path})"
    return Group(tier[0].tier, name, (run,), base.phase, differs)


def _put(run: Content, tier: list[Group], told: list[str]) -> None:
    """As a further seed of its recipe, or as another recipe. A seed that is there already counts once; where it came
    out otherwise, what differs is not in the recipe, and the run is shown by itself."""
    equal = [place for place, group in enumerate(tier) if group.runs and run.equals(group.runs[0])]
    if not equal:
        tier.append(_further(run, tier))
        return
    for place in equal:
        there = next((each for each in tier[place].runs if each.seed == run.seed), None)
        if there is None:
            tier[place] = replace(tier[place], runs=(*tier[place].runs, run))
            return
        if not (run.finished and there.finished) or run.loss == there.loss:
            kept, other = (run, there) if run.finished and not there.finished else (there, run)
            tier[place] = replace(tier[place], runs=tuple(kept if each is there else each for each in tier[place].runs))
            told.append(
                f"`{other.path}` is left out: it is the same recipe, seed ({run.seed}) and stories as `{kept.path}`, "
                "and a mean that counts a seed twice would look surer than it is."
            )
            return
    first = tier[equal[0]]
    tier.append(_further(run, tier))
    told.append(
        f"`{tier[-1].phase}` is the same recipe, seed ({run.seed}) and stories as a run of `{first.phase}`, and ended "
        "at another loss: what differs is not in the recipe (another version, machine or number of threads)."
    )


def _sentences(tiers: Sequence[Sequence[Group]], planned: Sequence[Group]) -> list[str]:
    """Of what came by itself; a ladder says itself what belongs together in it."""
    told = []
    for group in (each for tier in tiers for each in tier if each not in planned):
        if len(group.runs) > 1:
            called = sorted({each.recipe for each in group.runs})
            other = f", whatever it is called ({_listed([f'`{name}`' for name in called])})" if called[1:] else ""
            seeds = seeds_text([each.seed for each in group.runs])
            paths = _listed([f"`{each.path}`" for each in group.runs], MOST_LISTED)
            told.append(f"`{group.phase}` is {paths}: one recipe on the same stories{other}, {seeds}.")
        if group.differs:
            apart = (
                "; with other numbers of steps they share no mean and no verdict" if "steps" in group.differs else ""
            )
            told.append(f"`{group.phase}` differs from `{group.against}` in {group.change}{apart}.")
    return [*told, *_apart([tier[0] for tier in tiers if tier[0].runs])]


def _apart(firsts: Sequence[Group]) -> list[str]:
    """Why tiers are several: those that stand apart from the first for one reason together."""
    by_reason: dict[str, list[str]] = {}
    for group in firsts[1:]:
        if group.runs[0].fields is not None and firsts[0].runs[0].fields is not None:
            unlike = group.runs[0].measured.unlike(firsts[0].runs[0].measured)
            by_reason.setdefault(unlike or "another size", []).append(f"`{group.tier}`")
    return [
        f"{_listed(names)} {'stands' if len(names) == 1 else 'stand'} apart from `{firsts[0].tier}` ({reason}): no "
        "mean and no verdict joins their losses."
        for reason, names in by_reason.items()
    ]


def _some(told: Sequence[str]) -> str:
    more = len(told) - MOST_NAMED
    return ", ".join(told[:MOST_NAMED]) + (f" and {plural(more, 'more field')}" if more > 0 else "")


def _listed(names: Sequence[str], most: int = 99) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {plural(len(names) - most, 'more run')}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
