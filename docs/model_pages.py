"""Writes the tables of models.md, generation.md and export.md from the recipes and from docs/benchmarks/*.json.

python docs/model_pages.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fabula.exchange.architectures import find_counterpart, has_counterpart
from fabula.recipe.counts import count_parameters
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import current_name, tier_names, whole_recipe_names
from fabula.record.reader import read_run

DOCS = Path(__file__).parent
NAMES = [*tier_names(), *whole_recipe_names()]


def recipes() -> str:
    lines = [
        "| recipe | parameters | in the layers | layers | width | context | vocabulary |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in NAMES:
        recipe = load_recipe(name)
        counts, model = count_parameters(recipe.model, recipe.vocabulary), recipe.model
        lines.append(
            f"| `{name}` | {counts.total:,} | {counts.without_embeddings:,} | {model.layers} | {model.width} | "
            f"{model.context:,} | {recipe.vocabulary:,} |"
        )
    return "\n".join(lines)


def counterparts() -> str:
    lines = ["| recipe | model class | folded into its weights |", "|---|---|---|"]
    for name in NAMES:
        shape = load_recipe(name).model
        if not has_counterpart(shape):
            lines.append(f"| `{name}` | none | |")
            continue
        counterpart = find_counterpart(shape)
        lines.append(f"| `{name}` | `{counterpart.architecture}` | {', '.join(counterpart.folded) or 'nothing'} |")
    return "\n".join(lines)


def _benchmark(name: str) -> dict[str, Any] | None:
    path = DOCS / "benchmarks" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _versions(record: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in record["versions"].items())


def elsewhere() -> str:
    record = _benchmark("elsewhere")
    if record is None:
        return "Not measured yet."
    lines = [
        "| run | steps | loss per GPT-2 token | texts alike in transformers | its logits differ by | same next token "
        "in llama.cpp | its logits differ by | read back, they differ by |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in record["results"]:
        theirs, cpp = each["transformers"], each["llama.cpp"]
        loss = read_run(DOCS / "runs" / each["recipe"]).full_evals()["val_loss_gpt2"][-1]
        lines.append(
            f"| [`{each['recipe']}`](runs/{each['recipe']}) | {each['step']:,} | {loss:.2f} | "
            f"{theirs['same_texts']} of {each['prompts']} | {theirs['logits_difference']:.1e} | "
            f"{cpp['same_next_token']} of {cpp['clear_positions']} | {cpp['logits_difference']:.1e} | "
            f"{each['read_back_difference'] or 0:.1g} |"
        )
    asked = [each["llama.cpp"] for each in record["results"]]
    num_unclear = sum(each["positions"] - each["clear_positions"] for each in asked)
    first = record["results"][0]
    quoted = "\n".join(f"> {line}".rstrip() for line in first["texts"][0].splitlines())
    return "\n".join(lines) + (
        f"\n\nGreedy texts of {first['tokens']} tokens; {_versions(record)}. Logits differ by max |difference| / "
        f"max |logit|.\nllama.cpp is asked at every position where the best token leads by more than "
        f"{record['clear']:g}; {num_unclear or 'none'} of them {'was' if num_unclear == 1 else 'were'} nearer. "
        f"The first text of `{first['recipe']}`, everywhere the same:\n\n{quoted}"
    )


def html() -> str:
    path = DOCS / "measured" / "html_export.json"
    if not path.is_file():
        return "Not measured yet."
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| recipe | steps | parameters | the file | bytes a parameter | ready after | first token | tokens/s | "
        "same greedy texts | loss, float32 | int8 costs | the page's memory, after 1 story | after the last |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in record["results"]:
        loss, memory = each["loss"], each["process_megabytes"]
        losses = f"{loss['float32']:.3f} | {loss['int8'] - loss['float32']:+.5f}" if loss else " | "
        lines.append(
            f"| `{each['recipe']}` | {each['step']:,} | {each['parameters']:,} | {each['megabytes']:.1f} MB | "
            f"{each['bytes_per_parameter']:.2f} | {each['ready_ms'] / 1e3:.1f} s | {each['first_token_ms']:.0f} ms | "
            f"{each['tokens_per_second']:,.0f} | {each['same_greedy_tokens']} of {each['prompts']} | {losses} | "
            f"{memory['after the first']:.0f} MB | {memory['after the last']:.0f} MB |"
        )
    first = record["results"][0]
    ways = ", ".join(f"{name} {size:.2f}" for name, size in first["weights_as_text"].items())
    load = max(each["load"] / each["cores"] for each in record["results"])
    busy = f" The machine had other work, up to {load:.0f} programs a core: alone it is faster." if load > 1.5 else ""
    scored = {int(each["loss"]["stories"]) for each in record["results"] if each["loss"]}
    return "\n".join(lines) + (
        f'\n\nChromium without network on a file of the disk, one thread a model; torch {record["torch"]}. "Ready" '
        "counts from the opening of the file. Greedy texts of 64 tokens are compared with the int8 model in torch. "
        f"{first['stories']} stories of up to 200 tokens are told, each token with eight alternatives. The loss is in "
        f"nats a token over {', '.join(map(str, sorted(scored)))} stories (of random weights there is none). "
        f"Weights of `{first['recipe']}` as text, bytes a byte: {ways}.{busy}"
    )


def full_size() -> str:
    record = _benchmark("full_size")
    if record is None:
        return "Not measured yet."
    results, threads = record["results"], record["threads"]
    waited = sum(each["seconds_waited"] for each in results)
    share = waited / (waited + sum(each["seconds_made"] for each in results))
    lines = [
        f"{threads} thread{'s' if threads > 1 else ''}, torch {record['torch']}, {results[0]['micro_steps_made']} "
        "micro-steps and the update:",
        "",
        "| recipe | positions per micro-step | seconds | micro-steps per step | update, seconds | seconds per step | "
        "peak memory | steps | the whole run |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{current_name(each['recipe'])}` | {each['positions_per_micro_step']:,} | "
        f"{each['seconds_per_micro_step']:.1f} | "
        f"{each['micro_steps_of_a_step']} | {each['seconds_of_update']:.1f} | {each['seconds_per_step']:,.0f} | "
        f"{each['peak_memory_bytes'] / 2**30:.1f} GiB | {each['steps']:,} | {each['days_for_the_run']:,.0f} days |"
        for each in results
    ]
    if share > 0.05:
        lines += [
            "",
            f"The machine had other work: {share:.0%} of the time was waiting for a processor and is not counted.",
        ]
    return "\n".join(lines)


def _ratio(result: dict[str, Any], name: str) -> str:
    if name not in result["fabula_is_faster_by"]:
        return ""
    low, high = result["quartiles_of_that"][name]
    return f"{result['fabula_is_faster_by'][name]:.2f} ({low:.2f} to {high:.2f})"


def speed() -> str:
    record = _benchmark("decoding")
    if record is None:
        return "Not measured yet."
    names = list(dict.fromkeys(name for each in record["results"] for name in each["tokens_per_second"]))
    others = [name for name in names if name != "fabula"]
    header = ["recipe", "rows", *(f"{name}, tokens/s" for name in names), *(f"fabula : {name}" for name in others)]
    lines = [
        f"The same weights (random ones, GPT-2's vocabulary) in float32, greedy, {record['threads']} threads, "
        f"{_versions(record)}; medians, and "
        f"quartiles of the ratios, of {record['results'][0]['turns']} turns of {record['results'][0]['tokens']} tokens "
        "(`benchmarks/decoding.py`):",
        "",
        "| " + " | ".join(header) + " |",
        "|---|" + "---:|" * (len(header) - 1),
    ]
    for each in record["results"]:
        speeds = [
            f"{each['tokens_per_second'][name]:,.0f}" if name in each["tokens_per_second"] else "" for name in names
        ]
        ratios = [_ratio(each, name) for name in others]
        lines.append(f"| `{each['recipe']}` | {each['rows']} | " + " | ".join([*speeds, *ratios]) + " |")
    return "\n".join(lines)


def renew(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}: written by model_pages.py -->\n", "<!-- end -->"
    before, rest = page.split(begin)
    return before + begin + text + "\n" + end + rest.split(end, 1)[1]


BLOCKS = {
    "models.md": {"recipes": recipes, "full size": full_size},
    "generation.md": {"speed": speed},
    "export.md": {"counterparts": counterparts, "html": html, "elsewhere": elsewhere},
}

if __name__ == "__main__":
    for file, blocks in BLOCKS.items():
        page = (DOCS / file).read_text(encoding="utf-8")
        for name, write in blocks.items():
            page = renew(page, name, write())
        (DOCS / file).write_text(page, encoding="utf-8")
