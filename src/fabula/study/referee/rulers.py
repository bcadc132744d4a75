"""Whether the numbers of two groups may stand side by side: the same stories, tokens, rule; or, of logs, as far as they
say it."""

from collections.abc import Sequence

from fabula.record.foreign.listing import FORM
from fabula.record.foreign.names import normalized
from fabula.study.grouping.content import differing
from fabula.study.referee.members import Group, Member
from fabula.study.referee.value import LEAST_COMMON, PER_GPT2_TOKEN, By, Rule, curve_of, end_of, failure

OF_BATCHES = ("batch.layout", "batch.end_of_text", "batch.hidden_tokens", "model.context")


def unlike(base: Group, group: Group, rule: Rule) -> str:
    """Why `group` cannot be compared with `base`; empty where it can."""
    first = base.members[0]
    for each in (base, group):
        for member in each.members:
            if why := _unlike(first, member, rule):
                where = f"the runs of {base.name} themselves differ: " if each is base else ""
                return f"{where}{member.label} has {why}"
    for each in (base, group):
        for member in each.members:
            if not failure(member) and curve_of(member, rule.loss) is None:
                return f"{member.label} has no {rule.loss} loss"
    return _lengths(base, group, rule)


def _unlike(one: Member, other: Member, rule: Rule) -> str:
    if one.foreign != other.foreign:
        return "a log of another kind: logs of other programs do not say on which text their losses were measured"
    if one.foreign:
        return _unlike_logs(one, other, rule)
    if rule.loss == "training" and (fields := _batches(one, other)):
        return f"other batches ({', '.join(fields)}), on which a training loss is another number"
    why = other.content.measured.unlike(one.content.measured)
    if why.startswith("tokenizer") and rule.final == PER_GPT2_TOKEN:
        return ""
    if not why and rule.loss == "validation" and not rule.final:
        subsets = [(member.run.info.get("rulers") or {}).get("stream_subset") for member in (one, other)]
        why = "another ruler" if all(subsets) and subsets[0] != subsets[1] else ""
    return why and f"{why}, and losses of different rulers are never ranked"


def _batches(one: Member, other: Member) -> list[str]:
    """The fields that say on what a batch's loss is taken, where they differ."""
    return [name for name in differing([one.content, other.content]) if name in OF_BATCHES]


def _unlike_logs(one: Member, other: Member, rule: Rule) -> str:
    if (one.run.info["log_format"] == FORM) != (other.run.info["log_format"] == FORM):
        return "another form than the base: a table of runs does not say at which step its numbers were taken"
    names = [_column(member, rule) for member in (one, other)]
    if all(names) and normalized(names[0]) != normalized(names[1]):
        return f"its loss under another name (`{names[1]}`, not `{names[0]}`), which may be another measure"
    sizes = [member.facts.vocabulary for member in (one, other)]
    if all(sizes) and sizes[0] != sizes[1]:
        return f"another vocabulary ({sizes[1]:,} tokens, not {sizes[0]:,}), so its losses have another scale"
    return ""


def _column(member: Member, rule: Rule) -> str:
    """What the log calls the loss that is compared."""
    curve, columns = curve_of(member, rule.loss), member.run.info.get("columns", {})
    if curve is None:
        return ""
    names = ("val_loss", "val_loss_subset") if rule.loss == "validation" else (curve.name,)
    return next((str(columns[name]) for name in names if name in columns), "")


def _lengths(base: Group, group: Group, rule: Rule) -> str:
    """Why a common place would say nothing: one side was stopped long before the other was done."""
    by: By = "steps" if rule.by == "end" else rule.by
    ends: dict[str, list[float]] = {
        each.name: [end_of(member, rule.loss, by) for member in each.members if not failure(member)]
        for each in (base, group)
    }
    if not all(ends.values()):
        return ""
    longest = max(max(each) for each in ends.values())
    for each in (base, group):
        shortest = min(ends[each.name])
        if shortest < LEAST_COMMON * longest:
            return (
                f"a run of {each.name} has {shortest:,.0f} {by} and the longest run {longest:,.0f}: before half of the "
                "way a training shows little of its end"
            )
    return ""


def without_the_far(groups: Sequence[Group], rule: Rule) -> list[Group]:
    """The base and those groups whose lengths allow a common place: the others would move it for all."""
    base, *others = groups
    return [base, *(group for group in others if not _lengths(base, group, rule))]
