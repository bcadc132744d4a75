"""Logs of other programs on a page: what they are, what they show, and what is misleading in them.

Nothing is ranked here. Such a log does not say on which text or by which rule its losses were measured.
"""

from collections.abc import Sequence

from fabula.findings.facts import Curve
from fabula.record.wording import ARROW, NONE, begun_large, loss_text, plural, slug, steps_text
from fabula.report.figures.curves import curves_of
from fabula.report.figures.figures import colours
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Details,
    Figure,
    FigureGrid,
    Heading,
    Part,
    Rich,
    Row,
    Switches,
    Table,
    code,
    joined,
    link,
    rich,
    strong,
    told,
    toned,
)
from fabula.report.tones import DIAGNOSIS_TONES
from fabula.study.health import FoundGroup
from fabula.study.views import RunView, TierView

NOT_RANKED = (
    "Not ranked: a log does not say on which text and by which rule its losses were measured. "
    "The lowest of many evaluations is partly luck."
)


def log_lead(tiers: Sequence[TierView]) -> Rich:
    """The one sentence at the top of a page that shows logs alone."""
    views = [view for tier in tiers for view in tier.runs]
    if len(views) > 1:
        counts = [
            rich(toned(f"{count} {verdict}", tone))
            for verdict, tone in DIAGNOSIS_TONES.items()
            if (count := sum(view.diagnosis is not None and view.diagnosis.verdict == verdict for view in views))
        ]
        return rich(f"{plural(len(views), 'log')}: ", joined(counts, ", "), ".")
    (view,) = views
    assert view.diagnosis is not None, "a log that cannot be read is told before there is a page"
    curve = _loss_curve(view)
    parts: list[Part] = [code(view.phase), ": ", strong(view.diagnosis.verdict)]
    parts.append(f": {view.diagnosis.unjudged}." if view.diagnosis.verdict == "not judged" else ".")
    if curve is not None and len(curve.finite):
        ended, best = curve.finite.values[-1], curve.finite.values.min()
        parts += [f" The {_called(curve)} ended at ", strong(loss_text(float(ended)))]
        if best < ended:
            at = int(curve.finite.steps[int(curve.finite.values.argmin())])
            parts.append(f"; its lowest was {loss_text(float(best))}, at step {at:,}")
        parts.append(".")
    return rich(*parts)


def alarms(tiers: Sequence[TierView], groups: Sequence[FoundGroup]) -> list[Rich]:
    """An item for each warning and failure, the failures first, leading to its card."""
    names = [tier.name for tier in tiers]
    many = sum(len(tier.runs) for tier in tiers) > 1
    items = []
    for severity in ("failure", "warning"):
        for group in groups:
            if group.tier not in names:
                continue
            for view, finding in group.found:
                if finding.severity == severity:
                    where: list[Part] = [code(view.phase), ": "] if many else []
                    items.append(
                        rich(
                            toned("", severity),
                            *where,
                            told(finding.sentence),
                            " ",
                            link(begun_large(steps_text(finding.steps)), group.anchor),
                        )
                    )
    return items


def logs_table(tiers: Sequence[TierView]) -> Table:
    """A row a log: how far it goes, what its loss did, what the findings say."""
    rows = []
    for tier in tiers:
        for view in tier.runs:
            curve = _loss_curve(view)
            verdict = view.diagnosis.verdict if view.diagnosis else "unknown"
            rows.append(
                Row(
                    (
                        rich(link(view.phase, slug("tier", tier.name))),
                        rich(str(view.of("log_format"))),
                        rich(_extent(view)),
                        rich(_called(curve) if curve is not None else NONE),
                        _course(curve),
                        rich(loss_text(float(curve.finite.values[-1])) if curve is not None else NONE),
                        rich(toned(verdict, DIAGNOSIS_TONES.get(verdict, "unknown"))),
                    )
                )
            )
    columns = (
        Column("Log"),
        Column("Format"),
        Column("Steps", numeric=True),
        Column("Loss shown"),
        Column("First → lowest", numeric=True),
        Column("Last", numeric=True),
        Column("Findings say"),
    )
    return Table(columns, tuple(rows), (rich(NOT_RANKED),))


def log_blocks(tier: TierView, drawn: Sequence[Figure]) -> list[Block]:
    """The section of the logs of one folder or chart: curves, and what was read."""
    blocks: list[Block] = [Heading(2, rich(tier.name), slug("tier", tier.name), tier.name)]
    if drawn:
        colour = colours(tier)
        phases = tuple((phase.name, colour[phase.name]) for phase in tier.phases if curves_of(phase.runs[0]))
        blocks.append(FigureGrid(tuple(drawn), Switches(slug(tier.name), phases, ("seed 0",))))
    return [*blocks, *log_notes(tier)]


def log_notes(tier: TierView) -> list[Block]:
    """What is known to be misleading in these logs, what was not read, and which columns were read as what."""
    blocks: list[Block] = []
    traps = _traps(tier)
    if traps:
        blocks += [
            Heading(3, rich("About this log" if len(tier.runs) == 1 else "About these logs"), slug("about", tier.name)),
            Bullets(tuple(traps)),
        ]
    if tier.unread:
        blocks.append(Heading(3, rich("Not read"), slug("unread", tier.name)))
        blocks.append(Bullets(tuple(rich(toned(why, "unknown")) for why in tier.unread)))
    columns = _columns_table(tier)
    if columns.rows:  # a run of fabula.Record has its columns under their own names
        blocks.append(Details(rich("Which columns were read as what"), (columns,)))
    return blocks


def _loss_curve(view: RunView) -> Curve | None:
    """The curve that stands for a log: held-out loss, else the training split's, else that of the steps."""
    assert view.facts is not None
    curves = [view.facts.val_loss, view.facts.held_train_loss, view.facts.train_loss]
    return next((curve for curve in curves if curve is not None and len(curve.finite)), None)


def _called(curve: Curve) -> str:
    names = {"val_loss": "held-out loss", "train_loss": "loss on training text", "loss": "training loss"}
    return names.get(curve.name, curve.name)


def _course(curve: Curve | None) -> Rich:
    if curve is None:
        return rich(NONE)
    values = curve.finite.values
    return rich(loss_text(float(values[0])), ARROW, strong(loss_text(float(values.min()))))


def _extent(view: RunView) -> str:
    assert view.run is not None
    steps = [int(step) for columns in (view.run.train, view.run.evals) for step in columns["step"]]
    return f"{min(steps):,} to {max(steps):,}" if steps else NONE


def _traps(tier: TierView) -> list[Rich]:
    """What is known to be misleading in these logs; what holds of all of them is said once."""
    there: dict[str, list[str]] = {}
    for view in tier.runs:
        for note in view.of("notes") or ():
            there.setdefault(note["sentence"], []).append(view.phase)
    items = []
    for sentence, names in there.items():
        where = "" if len(names) == len(tier.runs) else f" ({', '.join(names)})"
        items.append(rich(told(sentence), where))
    return items


def files_table(tiers: Sequence[TierView]) -> Table:
    """Where each log was read from, and how many lines it has."""
    rows = []
    for tier in tiers:
        for view in tier.runs:
            assert view.run is not None
            counts = [(len(view.run.train["step"]), "training line"), (len(view.run.evals["step"]), "evaluation")]
            told_counts = ", ".join(plural(count, word) for count, word in counts if count)
            cells = (rich(view.phase), rich(code(str(view.path))), rich(str(view.of("log_format"))), rich(told_counts))
            rows.append(Row(cells))
    columns = (Column("Log"), Column("Read from", wide=True), Column("Format"), Column("Holds", wide=True))
    return Table(columns, tuple(rows))


def _columns_table(tier: TierView) -> Table:
    rows = [
        Row((rich(code(name)), rich(code(str(given))), rich(view.phase)))
        for view in tier.runs
        for name, given in (view.of("columns") or {}).items()
    ]
    return Table((Column("Read as"), Column("Column of the log"), Column("Log")), tuple(rows))
