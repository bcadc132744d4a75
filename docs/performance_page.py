"""Writes the tables of performance.md from docs/benchmarks/{training,starting,loss}.json and docs/ladders/modern.

python docs/performance_page.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabula.study.inference.effect_words import signed
from fabula.study.inference.effects import Effect
from fabula.study.ladder import read_ladder

DOCS = Path(__file__).parent
PAGE = DOCS / "performance.md"
MISSING = "Not measured yet."
Record = dict[str, Any]


def _benchmark(name: str) -> Record | None:
    path = DOCS / "benchmarks" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _range(spread: dict[str, float], digits: str = ".2f") -> str:
    """Median (low quartile to high)."""
    return f"{spread['median']:{digits}} ({spread['low']:{digits}} to {spread['high']:{digits}})"


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def _name(run: Record) -> str:
    return Path(run["run"]).name


def _groups(record: Record) -> list[Record]:
    return [each for group in record["groups"].values() for each in group]


def _ours(record: Record) -> dict[str, Record]:
    return {each["recipe"]: each for each in _groups(record) if each["kind"] == "fabula"}


def _machine(record: Record) -> str:
    rates = record["matrix_flop_per_second"]
    each = [
        f"{name} {rates['before'][name] / 1e9:,.0f} before and {rates['after'][name] / 1e9:,.0f} GFLOP/s after"
        for name in rates["before"]
    ]
    return f"Products of 4,096 x 4,096 matrices: {', '.join(each)} the run."


def training() -> str:
    record = _benchmark("training")
    if record is None:
        return MISSING
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [
        f"{_threads(record['threads'])}, {record['turns']} turns of about {record['turn_seconds']:g} s, {versions}. "
        f"{_machine(record)}",
        "",
        "| | tokens/s | stories, kB/s | fabula is faster by | peak memory, GiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for group in record["groups"].values():
        over = group[0]["over"]
        for each in group:
            speed = each["positions_per_second"]
            ours = each["kind"] == "fabula"
            name = f"**`{each['recipe']}`, fabula**" if ours else f"`{each['recipe']}`, {each['kind']}"
            kilobytes = speed["median"] * each["bytes_per_token"] / 1e3
            faster = "" if ours else _range(over[each["kind"]])
            lines.append(
                f"| {name} | {_range(speed, ',.0f')} | {kilobytes:.1f} | {faster} | "
                f"{each['peak_memory_bytes'] / 2**30:.2f} |"
            )
    also = [
        f"`{recipe}` makes {_range(each['over'][kind])} times the tokens a second of the {kind}"
        for recipe, each in _ours(record).items()
        for kind in ("plain loop",)
        if each is not record["groups"].get(recipe, [None])[0] and kind in each["over"]
    ]
    if also:
        lines += ["", f"With vocabularies of their own: {'; '.join(also)} with GPT-2's words (of the group's shape)."]
    waited = max(each["waited_share"] for each in _groups(record))
    if waited > 0.05:
        lines += [
            "",
            f"**Provisional**: the machine had other work; up to {waited:.0%} of a contender's time was waiting.",
        ]
    return "\n".join(lines)


def roof() -> str:
    record = _benchmark("training")
    if record is None:
        return MISSING
    lines = [
        "| | step, ms | roof, ms | of it the head | head, GFLOP/s | layers' products, GFLOP/s | share of the roof | "
        "making the batch |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for recipe, each in _ours(record).items():
        top = each["roof"]
        lines.append(
            f"| `{recipe}` | {1e3 * each['step_seconds']['median']:,.0f} | "
            f"{1e3 * top['step_seconds']['median']:,.0f} | {1e3 * top['head_seconds']:,.0f} | "
            f"{top['head_flop'] / top['head_seconds'] / 1e9:,.0f} | {top['body_flop_per_second'] / 1e9:,.0f} | "
            f"{top['share']['median']:.0%} ({top['share']['low']:.0%} to {top['share']['high']:.0%}) | "
            f"{top['batch_share']:.2%} of the step |"
        )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} s"


def loss() -> str:
    record = _benchmark("loss")
    if record is None:
        return MISSING
    lines = [
        "| run | parameters | context | steps | tokens | by the record | alone | loss | at context 128 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{_name(each)}` (`{each['recipe']}`) | {each['parameters']:,} | {each['context']} | {each['steps']:,} | "
        f"{each['tokens'] / 1e6:.2f} M | {_seconds(each['seconds'])}, {_threads(each['threads'])} | "
        f"{_seconds(each['measured_seconds'])} | {each['loss']:.3f} | {each['loss_at_128']:.3f} |"
        for each in record["runs"]
    ]
    reference = record["reference"]
    wanted = {
        "reference": f"what `basic/packed` reached after {reference['steps']:,} steps",
        "strong": "what `strong` ended at",
    }
    lines += [
        "",
        "| loss | of at most | reached first by | step | tokens | by the record | alone |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for target in record["targets"]:
        name = f"{target['loss']:.2f}"
        if target["name"] in wanted:
            name = f"{target['loss']:.3f}, {wanted[target['name']]}"
        size = f"{target['most_parameters'] / 1e6:.2f} M parameters"
        for each in target["reached"][:3]:
            lines.append(
                f"| {name} | {size} | `{_name(each)}` (`{each['recipe']}`) | {each['step']:,} of {each['steps']:,} | "
                f"{each['tokens'] / 1e6:.2f} M | {_seconds(each['seconds'])} | {_seconds(each['measured_seconds'])} |"
            )
        if not target["reached"]:
            lines.append(f"| {name} | {size} | no kept run yet | | | | |")
    seen = _benchmark("contexts")
    if seen is not None:
        losses = ", ".join(f"{loss:.3f} with {context}" for context, loss in seen["loss_at_context"].items())
        told = f"`{_name(seen)}`, scored again in shorter windows, ends at {losses} tokens"
        lines += ["", f"What a model sees is part of what it reaches: {told}. The original `quality` saw 256."]
    return "\n".join(lines)


def ingredients() -> str:
    """What the loss is without each ingredient, the dearest first."""
    folder = DOCS / "ladders" / "modern"
    if not folder.is_dir():
        return MISSING
    view = read_ladder([folder])
    (tier,) = view.tiers
    changes = {phase.name: phase.change.removeprefix("all but: ") for phase in tier.phases}
    steps = next(run.of("steps") for run in tier.runs)
    lines = [
        f"`{tier.name}` is GPT-2's shape with AdamW, tuned; the table says what each candidate for `modern` adds to "
        f"all others, and `modern` has those that improved. {steps} steps on `tune`, {view.plan['seeds']} seeds, nats "
        "a token of the recipe's own vocabulary, differences with 95 % intervals, Holm over the table.",
        "",
        "| with all against all but | `stream` (95 % interval) | `story` | verdict |",
        "|---|---:|---:|---|",
    ]

    def gain(each: Effect) -> float:
        return each.headline.estimate.mean if each.headline else 0.0

    for each in sorted(tier.effects, key=gain):
        without = changes[each.before] if each.before != tier.name else f"any of them (`{tier.name}`)"
        cells = []
        for name in ("stream", "story"):
            estimate = each.comparisons[name].estimate
            interval = (
                ""
                if estimate.low is None or estimate.high is None
                else f" ({signed(estimate.low)} to {signed(estimate.high)})"
            )
            cells.append(f"{signed(estimate.mean)}{interval}")
        lines.append(f"| {without} | {' | '.join(cells)} | {each.verdict} |")
    return "\n".join(lines)


def start() -> str:
    record = _benchmark("starting")
    if record is None:
        return MISSING
    words = record["tokenizing"]
    cores = record["cores"]
    lines = [
        f"{words['stories']:,} stories, {words['megabytes']:.1f} MB, on {cores} core{'s' if cores > 1 else ''}, as "
        "GPT-2's tokens; the texts are in memory but for `fabula prepare`, which also reads the files, splits them, "
        "looks for near-duplicates and writes:",
        "",
        "| tokenizing | MB/s |",
        "|---|---:|",
    ]
    lines += [f"| {name} | {_range(each, '.1f')} |" for name, each in words["megabytes_per_second"].items()]
    lines += [
        "",
        f"fabula over {words['fastest_tiktoken']}: {_range(words['over_fastest_tiktoken'])}. "
        f"`fabula --help` answers in {_range(record['help_seconds'])} s.",
        "",
        "| from the command to step 1 | first time | again | of it compiling and warming up | again | evaluation "
        "before step 1 | again |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for recipe, each in record["start_seconds"].items():
        kinds = ("until_training", "compile", "evaluation")
        cells = [f"{each[f'{turn}_{kind}']:.1f} s" for kind in kinds for turn in ("first", "second")]
        lines.append(f"| `{recipe}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _speed_rows(record: Record | None) -> list[tuple[str, str, str, str]]:
    ours = _ours(record) if record else {}

    def over(recipe: str, peer: str) -> str:
        found = ours.get(recipe, {}).get("over", {}).get(peer)
        return MISSING if found is None else f"{_range(found)} x"

    tiers = [name for name in ("basic", "mid", "quality") if name in ours]
    plain = ", ".join(f"`{name}` {ours[name]['over']['plain loop']['median']:.2f} x" for name in tiers)
    shares = ", ".join(f"{ours[name]['roof']['share']['median']:.0%}" for name in tiers)
    same = f"{plain}; {shares} of the roof" if tiers else MISSING
    return [
        ("`basic`, GPT-2's words: tokens/s over transformers float32", "4.5 x", "5.5 x",
         over("basic", "transformers float32")),
        ("`basic`, `mid`, `quality`: over the plain loop", "1.5 x", "85 % of the roof", same),
        ("`basic@gpt2-compact`: over the plain loop with all words", "4 x", "6 x",
         over("basic@gpt2-compact", "plain loop")),
    ]  # fmt: skip


def _loss_rows(record: Record | None) -> list[tuple[str, str, str, str]]:
    targets = {each["name"]: each for each in record["targets"]} if record else {}

    def first(name: str, recipe: str = "") -> Record | None:
        reached: list[Record] = targets.get(name, {}).get("reached", [])
        return next((each for each in reached if each["recipe"].startswith(recipe)), None)

    def time(each: Record) -> float:
        return float(each["measured_seconds"] or each["seconds"])

    def fraction(each: Record | None, whole: Record | None) -> str:
        """Both by the same clock."""
        if each is None or whole is None:
            return MISSING
        clock = "measured_seconds" if each["measured_seconds"] and whole["measured_seconds"] else "seconds"
        part = f"`{_name(each)}`: {each[clock]:,.0f} of {whole[clock]:,.0f} s"
        return f"1/{whole[clock] / each[clock]:.1f} ({part})"

    def reached(name: str, field: str = "loss_at_128") -> str:
        each = first(name)
        if each is not None:
            context = f" at a context of {each['context']}" if field == "loss" else ""
            return f"{time(each):,.0f} s (`{_name(each)}`{context})"
        if not record:
            return MISSING
        best = min(record["runs"], key=lambda run: float(run[field]))
        return f"not reached: {best[field]:.3f} after {time(best):,.0f} s (`{_name(best)}`)"

    reference = strong = within = None
    faster = "`modern` over `strong`: time to `strong`'s last loss"
    if record:
        reference, most = record["reference"], record["targets"][0]["most_parameters"]
        strong = min((each for each in record["runs"] if each["recipe"] == "strong"), key=time, default=None)
        seconds = record["seconds_of_the_seeds"]
        small = [each for each in record["runs"] if each["parameters"] <= most and time(each) <= seconds]
        within = min(small, key=lambda each: float(each["loss_at_128"]), default=None)
    best = MISSING
    if within is not None:
        best = f"{within['loss_at_128']:.3f} after {time(within):,.0f} s (`{_name(within)}`)"
    return [
        ("at most 7.29 M parameters: time until the loss of `basic/packed` after 15,000 steps, over that run's", "1/30",
         "1/100", fraction(first("reference"), reference)),
        ("the same to 2.89", "60 s", "30 s", reached("2.89")),
        ("the same after the original 330 s", "2.45", "2.30", best),
        ("at most 40.7 M parameters: time to the original 1.86", "2.5 h", "1 h", reached("1.86", "loss")),
        (faster, "1/2", "1/3", fraction(first("strong", "modern"), strong)),
    ]  # fmt: skip


PLACES = ("beside one", "beside two", "beside a training")
IDLE = "alone, now over before"


def neighbours() -> str:
    record = _benchmark("neighbours")
    if record is None:
        return MISSING
    lines = [
        f"{_threads(record['threads'])} on {record['cores']} cores ({record['capability']}), "
        f"{record['turns']} turns of {record['turn_seconds']:g} s, torch {record['versions']['torch']}. "
        "In brackets: the share of what the training makes alone.",
        "",
        "| | | alone | beside one busy process | beside two | two trainings together |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for each in record["recipes"]:
        for side in ("before", "now"):
            rates = each[side]
            cells = [f"{rates[place]['median']:,.0f} ({rates['of alone'][place]:.2f})" for place in PLACES]
            lines.append(f"| `{each['recipe']}` | {side} | {rates['alone']['median']:,.0f} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(_alone(each) for each in (record, _benchmark("neighbours-alone")) if each)])


def _alone(record: Record) -> str:
    ratios = ", ".join(f"`{each['recipe']}` {_range(each[IDLE])}" for each in record["recipes"])
    return f"Alone, now over before, in {record['turns']} turns of {record['turn_seconds']:g} s each: {ratios}."


def targets() -> str:
    lines = ["| | aimed at | better | reached |", "|---|---:|---:|---|"]
    rows = [*_speed_rows(_benchmark("training")), *_loss_rows(_benchmark("loss"))]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


BLOCKS: dict[str, Callable[[], str]] = {
    "targets": targets, "training": training, "roof": roof, "loss": loss, "ingredients": ingredients, "start": start,
    "neighbours": neighbours,
}  # fmt: skip


def written(page: str) -> str:
    """`page` with every block between its marks."""
    for name, write in BLOCKS.items():
        begin, end = f"<!-- {name}: written by performance_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + write() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
