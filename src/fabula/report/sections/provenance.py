"""Where the numbers come from: recipes side by side, versions, machines, hashes, timings."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fabula.record.content.parsing import toml_value
from fabula.record.wording import NONE, count_text, duration_text
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    rich,
    strong,
    told,
)
from fabula.study.grouping.content import dotted
from fabula.study.health import state_text
from fabula.study.phases.equal_time import machine_text
from fabula.study.views import LadderView, RunView, TierView


def grouping_blocks(ladder: LadderView) -> list[Block]:
    """How runs that came by themselves were put together, and why."""
    items = tuple(rich(told(each)) for each in ladder.grouping.told)
    if not items:
        return []
    heading = Heading(2, rich("How the runs were grouped"), "grouping", "Groups")
    return [heading, Paragraph(rich("By what their recipes say, not by what they are called.")), Bullets(items)]


def recipe_fields(view: RunView) -> dict[str, Any]:
    """Dotted field -> value of the run's recipe; empty without one."""
    if view.run is None or not (view.run.path / "recipe.toml").is_file():
        return {}
    return dict(dotted(toml_value(view.run.recipe_toml)))


def phase_differences(tier: TierView) -> Table | None:
    """Every field in which the phases of a tier differ; a change against the phase before is strong."""
    recipes = {phase.name: recipe_fields(phase.read[0]) for phase in tier.phases if phase.read}
    return _differences(recipes)


def tier_differences(ladder: LadderView) -> Table | None:
    """The same between tiers, each told by its first run that is there."""
    recipes = {tier.name: recipe_fields(tier.first) for tier in ladder.tiers if tier.first is not None}
    return _differences(recipes)


def _differences(recipes: dict[str, dict[str, Any]]) -> Table | None:
    fields = list(dict.fromkeys(field for recipe in recipes.values() for field in recipe if field != "name"))
    changed = [field for field in fields if len({repr(recipe.get(field)) for recipe in recipes.values()}) > 1]
    if len(recipes) < 2 or not changed:
        return None
    rows = []
    for field in changed:
        cells = [rich(code(field))]
        before: Any = None
        for index, recipe in enumerate(recipes.values()):
            value = recipe.get(field, NONE)
            text = _value_text(value)
            cells.append(rich(strong(text)) if index and value != before else rich(text))
            before = value
        rows.append(Row(tuple(cells)))
    columns = (Column("Field"), *(Column(name) for name in recipes))
    return Table(columns, tuple(rows))


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def runs_table(ladder: LadderView) -> Table:
    """A row a run: how it ended, on what, how long it took."""
    rows = []
    for view in ladder.runs:
        verdict = view.diagnosis.verdict if view.diagnosis else NONE
        rows.append(
            Row(
                (
                    rich(view.name if view.of("log_format") else f"{view.name} seed {view.seed}"),
                    rich(view.run.status if view.finished and view.run else state_text(view)),
                    rich(verdict),
                    rich(f"{int(view.last.get('step', 0)):,}" if view.run else NONE),
                    rich(count_text(view.last.get("tokens")) if view.run else NONE),
                    rich(str(view.of("device") or NONE)),
                    rich(str(view.of("threads") or NONE)),
                    rich(duration_text(view.seconds)),
                    rich(duration_text(view.of("timings", "evaluation_seconds"))),
                ),
                "" if view.run else "absent",
            )
        )
    columns = (
        Column("Run"),
        Column("Status"),
        Column("Findings say"),
        Column("Steps", numeric=True),
        Column("Tokens", numeric=True),
        Column("Device"),
        Column("Threads", numeric=True),
        Column("Training", numeric=True),
        Column("Evaluation", numeric=True),
    )
    return Table(columns, tuple(rows))


def facts_table(views: Sequence[RunView]) -> Table | None:
    """What all runs share in one row each; where runs differ, a row for each value with the runs that have it."""
    rows = []
    for name, of in _provenance(views):
        values: dict[str, list[RunView]] = {}
        for view in views:
            value = of(view)
            if value is not None:
                values.setdefault(str(value), []).append(view)
        for value, there in values.items():
            where = "all runs" if len(there) == len(views) else _runs_text(there)
            rows.append(
                Row((rich(name), rich(code(value) if "hash" in name or "ruler" in name else value), rich(where)))
            )
    columns = (Column("What"), Column("Value", wide=True), Column("Where", wide=True))
    return Table(columns, tuple(rows)) if rows else None


def _runs_text(views: Sequence[RunView]) -> str:
    names = list(dict.fromkeys(f"{view.tier}/{view.phase}" for view in views))
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _provenance(views: Sequence[RunView]) -> list[tuple[str, Callable[[RunView], Any]]]:
    """Names with the function that reads them from a run."""
    entries: list[tuple[str, Callable[[RunView], Any]]] = []

    def add(name: str, *keys: str) -> None:
        entries.append((name, lambda view: view.of(*keys)))

    for section, title in (("versions", "version of {}"), ("rulers", "ruler {}")):
        for key in _keys(views, section):
            add(title.format(key), section, key)
    add("tokenizer", "data", "tokenizer")
    add("tokenizer hash", "data", "tokenizer_hash")
    for split in _keys(views, "data", "text_hashes"):
        add(f"text hash of {split}", "data", "text_hashes", split)
    add("entropy floor, nats per token", "data", "entropy_floor")
    entries += [(f"chosen: {choice}", partial(_choice_text, choice)) for choice in _keys(views, "choices")]
    add("device", "device")
    add("threads", "threads")
    entries.append(("machine", _machines_text))
    return entries


def _machines_text(view: RunView) -> str | None:
    return ", then ".join(dict.fromkeys(machine_text(each) for each in view.of("machines") or ())) or None


def _choice_text(name: str, view: RunView) -> str | None:
    choice = view.of("choices", name)
    if not isinstance(choice, dict):
        return None
    reason = choice.get("reason")
    return f"{choice.get('value')}: {reason}" if reason else str(choice.get("value"))


def _keys(views: Sequence[RunView], *path: str) -> list[str]:
    """The keys below a path of run.json over all runs, in the order in which they come."""
    keys: dict[str, None] = {}
    for view in views:
        section = view.of(*path)
        if isinstance(section, dict):
            keys.update(dict.fromkeys(section))
    return list(keys)
