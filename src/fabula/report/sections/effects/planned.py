"""What was planned before the first run, and what was added later."""

from fabula.report.render.blocks import Block, Bullets, Heading, Paragraph, Rich, code, rich, strong, toned
from fabula.study.planning.frozen import planned_of
from fabula.study.views import LadderView


def planned_blocks(ladder: LadderView) -> list[Block]:
    """Nothing where no plan was frozen."""
    told = planned_of(ladder)
    if told is None:
        return []
    heading = Heading(2, rich("Planned before the first run"), "plan", "Plan")
    if told.problem:
        said = toned(f"{told.problem}. What this page shows cannot be held against it.", "failure")
        return [heading, Paragraph(rich(said))]
    items: list[Rich] = [rich(each) for each in told.planned]
    if told.later:
        items += [rich(strong("Not as planned: "), toned(each, "warning")) for each in told.later]
    else:
        items.append(rich(toned("Nothing was added or changed since.", "good")))
    items += [rich(each) for each in told.open]
    frozen = rich(f"Frozen at {told.when} by fabula {told.version}, before any run was there. Hash: ", code(told.hash))
    return [heading, Paragraph(frozen), Bullets(tuple(items))]
