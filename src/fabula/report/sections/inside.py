"""What looks inside saw of a single run, layer by layer."""

from fabula.record.wording import plural
from fabula.report.figures.inside import inside_figures
from fabula.report.render.blocks import Block, FigureGrid, Heading, Paragraph, code, rich
from fabula.study.views import RunView


def inside_blocks(view: RunView) -> list[Block]:
    """Figures with a line a layer; nothing where nothing looked inside."""
    looks = view.run.internals if view.run is not None else []
    figures = inside_figures(view.tier, looks)
    if not figures:
        return []
    told = f"{plural(len(looks), 'look')} inside the model while it trained"
    source = rich(told, ".") if view.of("log_format") else rich(told, " (", code("internals.jsonl"), ").")
    return [Heading(2, rich("Inside the model"), "inside", "Inside"), Paragraph(source), FigureGrid(figures)]
