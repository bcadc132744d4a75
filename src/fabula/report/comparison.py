"""The page of `fabula compare`: groups of runs against a base."""

from fabula.record.wording import slug
from fabula.report.figures.curves import curves_of_tier
from fabula.report.figures.figures import figures
from fabula.report.render.blocks import Document, Opening
from fabula.report.render.terms import glossary, with_terms
from fabula.report.sections.compared import compared_blocks, compared_opening, compared_subtitle
from fabula.study.referee.comparing import Comparison
from fabula.study.views import PhaseView, RunView, TierView

NAME = "groups"


def comparison_document(comparison: Comparison) -> Document:
    tier = _as_tier(comparison)
    blocks = compared_blocks(comparison, tier, figures(tier, ()))
    (start, *marked), words = with_terms((compared_opening(comparison), *blocks))
    assert isinstance(start, Opening), "marking keeps the kind of a block"
    others = ", ".join(each.name for each in comparison.others)
    return Document(
        f"{others} against {comparison.base.name}",
        compared_subtitle(comparison),
        start,
        (*marked, glossary(words)),
        {slug(NAME): curves_of_tier(tier)},
    )


def _as_tier(comparison: Comparison) -> TierView:
    """A group is a phase to the figures; runs without a known seed are counted."""
    phases = []
    for each in comparison.groups:
        members = each.group.members
        views = [
            RunView(NAME, each.name, index if member.seed is None else member.seed, member.run.path, member.run)
            for index, member in enumerate(members)
        ]
        phases.append(PhaseView(each.name, "", tuple(views)))
    foreign = any(member.foreign for each in comparison.groups for member in each.group.members)
    return TierView(NAME, tuple(phases), foreign=foreign, in_order=False)
