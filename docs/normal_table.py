"""Writes src/fabula/findings/normal.toml, what kept healthy runs reached, and the table in diagnose.md from it.

python docs/normal_table.py
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from fabula.findings import diagnose
from fabula.findings.facts import facts_of_run
from fabula.findings.normal import TABLE, Kept, kept, reached
from fabula.record.reader import Run, find_runs, read_run
from fabula.record.wording import count_text

DOCS = Path(__file__).parent
PAGE = DOCS / "diagnose.md"
BEGIN, END = "<!-- normal: written by normal_table.py -->\n", "<!-- end -->"
HEAD = (
    "# What kept healthy runs reached: nats per GPT-2 token and bits per byte at context 128, a value a seed.\n"
    "# Written by docs/normal_table.py from docs/runs and docs/ladders; do not edit by hand.\n"
)
CORPORA = {"tinystories": "TinyStories", "first-4000": "TinyStories, 4,000 of them", "grammar": "the built-in stories"}


def _name(folder: Path, run: Run) -> str:
    """Of a run in a ladder its recipe; of one by itself the folder that it is kept in."""
    return str(run.info["recipe"]) if "ladders" in folder.parts else folder.name


def rows() -> list[Kept]:
    groups: dict[tuple[str, int, str], list[tuple[Run, float, float, int]]] = {}
    for root in ("runs", "ladders"):
        for folder in find_runs(DOCS / root):
            run = read_run(folder)
            end = reached(facts_of_run(run))
            if end is None or run.status != "finished" or diagnose(run).verdict != "healthy":
                continue
            key = (_name(folder, run), int(run.info["steps"]), end.ruler)
            groups.setdefault(key, []).append((run, end.gpt2, end.bits, end.tokens))
    made = []
    for (name, _, ruler), there in groups.items():
        info = there[0][0].info
        made.append(
            Kept(
                recipe=name,
                parameters=int(info["parameters"]["total"]),
                without_embeddings=int(info["parameters"]["without_embeddings"]),
                tokenizer=str(info["data"]["tokenizer"]),
                tokens=round(mean(tokens for *_, tokens in there)),
                corpus=next(word for part, word in CORPORA.items() if part in info["data"]["source"]),
                ruler=ruler,
                gpt2=tuple(round(loss, 4) for _, loss, _, _ in there),
                bits=tuple(round(bits, 4) for _, _, bits, _ in there),
            )
        )
    return sorted(made, key=lambda row: (row.ruler, row.tokens, row.mean))


def as_toml(made: list[Kept]) -> str:
    def value(each: object) -> str:
        return f'"{each}"' if isinstance(each, str) else str(list(each)) if isinstance(each, tuple) else str(each)

    return HEAD + "".join(
        "\n[[runs]]\n" + "".join(f"{name} = {value(each)}\n" for name, each in vars(row).items()) for row in made
    )


def table(made: tuple[Kept, ...]) -> str:
    """A row a recipe: those of one ruler together, after the tokens that they saw."""
    lines = [
        "| recipe | parameters (without embeddings) | tokens seen | tokenizer | nats per GPT-2 token | bits per byte "
        "| runs |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    rulers = list(dict.fromkeys(row.ruler for row in made))
    for row in made:
        ruler = "" if len(rulers) == 1 else f" ({'abcdefgh'[rulers.index(row.ruler)]})"
        spread = f" ({min(row.gpt2):.3f} to {max(row.gpt2):.3f})" if len(row.gpt2) > 1 else ""
        lines.append(
            f"| {row.recipe}{ruler} | {count_text(row.parameters)} ({count_text(row.without_embeddings)}) | "
            f"{count_text(row.tokens)} | {row.tokenizer} | {row.mean:.3f}{spread} | {mean(row.bits):.3f} "
            f"| {len(row.gpt2)} |"
        )
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its table renewed."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table(kept()) + "\n" + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    TABLE.write_text(as_toml(rows()), encoding="utf-8")
    kept.cache_clear()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
