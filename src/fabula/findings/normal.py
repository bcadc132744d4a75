"""What is normal: what kept runs reached, by size, vocabulary and tokens.

normal.toml is written by docs/normal_table.py. Every loss is that of the whole validation split with 128 tokens of
context, the one ruler that all sizes share.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fabula.findings.facts import Facts

TABLE = Path(__file__).with_name("normal.toml")
FACTOR = 2.0
"""A run of its kind has at most twice or half its parameters, and saw at most twice or half its tokens. With twice
the tokens `modern` fell by 0.15 to 0.26 nats (docs/runs), less than recipes differ by."""


@dataclass(frozen=True)
class Kept:
    """The kept runs of one recipe, a loss a seed."""

    recipe: str
    parameters: int
    without_embeddings: int
    tokenizer: str
    tokens: int
    corpus: str
    ruler: str
    gpt2: tuple[float, ...]
    """Nats per GPT-2 token."""
    bits: tuple[float, ...]
    """Bits per byte."""

    @property
    def mean(self) -> float:
        return sum(self.gpt2) / len(self.gpt2)


@cache
def kept() -> tuple[Kept, ...]:
    with open(TABLE, "rb") as file:
        rows = tomllib.load(file)["runs"]
    return tuple(Kept(**{**row, "gpt2": tuple(row["gpt2"]), "bits": tuple(row["bits"])}) for row in rows)


@dataclass(frozen=True)
class Reached:
    """Of one run: what is compared."""

    parameters: int
    tokens: int
    ruler: str
    gpt2: float
    bits: float


def ruler_of(facts: Facts) -> str:
    """The ruler that all sizes share, by its hash; empty where the record names none."""
    rulers = facts.info.get("rulers")
    return str(rulers.get("stream_at_128") or "") if isinstance(rulers, dict) else ""


def reached(facts: Facts) -> Reached | None:
    """None without the evaluation that ends a training, or where the record does not say by which ruler it was."""
    rulers, size = facts.info.get("rulers"), facts.info.get("parameters")
    if not ruler_of(facts) or not isinstance(rulers, dict) or not isinstance(size, dict):
        return None
    final = facts.final
    whole, bits = final.get("val_loss_gpt2", 0.0), final.get("val_bits_per_byte", 0.0)
    if "val_loss_gpt2_at_128" in final:
        at_128 = final["val_loss_gpt2_at_128"]
    elif rulers.get("stream") == rulers["stream_at_128"]:
        at_128 = whole
    else:
        return None
    if not (whole > 0 and bits > 0 and at_128 > 0 and size.get("total") and final.get("tokens", 0.0) > 0):
        return None
    # The two are of one text: they differ by a factor that is the text's.
    return Reached(
        int(size["total"]), int(final["tokens"]), str(rulers["stream_at_128"]), at_128, bits * at_128 / whole
    )


def of_its_kind(run: Reached) -> list[Kept]:
    """Kept recipes of about its size, after about as many tokens, by its ruler; not the run itself."""

    def alike(one: int, other: int) -> bool:
        return max(one, other) <= FACTOR * min(one, other)

    return [
        row
        for row in kept()
        if row.ruler == run.ruler
        and alike(row.parameters, run.parameters)
        and alike(row.tokens, run.tokens)
        and round(run.gpt2, 4) not in row.gpt2
    ]
