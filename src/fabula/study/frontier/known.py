"""The runs that the law rests on: kept ones, and a user's own.

runs.toml is written by docs/frontier.py from run folders.
"""

import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

from fabula.findings.facts import read_recipe
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.presets.shapes import family_of, multiplying
from fabula.recipe.schema import Recipe
from fabula.record.reader import Run
from fabula.study.frontier.choice import Expected, expected, reach
from fabula.study.frontier.law import PRIORS, Frontier, Point, Priors, are_enough, frontier_of, priors_like, with_floor

TABLE = Path(__file__).with_name("runs.toml")


@dataclass(frozen=True)
class KnownRun:
    """A finished run of a family, in one of its sizes."""

    family: str
    corpus: str = field(compare=False)
    """What the stories are, in a word; of a user's own run, where they came from."""
    validation: str
    """Hash of the validation stories: only losses on the same ones compare."""
    tokenizer: str
    layers: int
    width: int
    context: int
    steps: int
    tokens: int
    """Positions trained on."""
    unique: int
    """Tokens of the training stories."""
    parameters: int
    """That multiply each token."""
    peak: float
    seed: int
    loss: float
    """Nats a GPT-2 token, of the whole validation split, at the end."""
    bits_per_byte: float
    """The same loss in bits a byte of the stories: what a run is told in where GPT-2's vocabulary is not there."""
    floor: float = 0.0
    """Nats a GPT-2 token that no model gets below: the entropy of these stories, where that is known; else zero."""

    @property
    def point(self) -> Point:
        return Point(self.parameters, self.tokens, self.unique, self.loss)


@dataclass(frozen=True)
class Knowledge:
    """A law, and for which family and whose stories it holds."""

    frontier: Frontier
    corpus: str
    same_stories: bool
    """Whether these are the validation stories that it was measured on; else they are of the same kind by name."""
    runs: tuple[KnownRun, ...]

    @property
    def bits_per_nat(self) -> float:
        """Bits a byte for each nat a GPT-2 token, on these validation stories."""
        return self.runs[0].bits_per_byte / self.runs[0].loss


@cache
def kept_runs() -> tuple[KnownRun, ...]:
    with open(TABLE, "rb") as file:
        return tuple(KnownRun(**row) for row in tomllib.load(file)["runs"])


def known_run(run: Run, corpus: str | None = None) -> KnownRun | None:
    """What the law needs of a run; None of one that is not finished, was scored on `tune`, is of no family, or has no
    loss a GPT-2 token."""
    recipe, data = read_recipe(run), run.info.get("data")
    positions, epochs = (run.info.get("layout") or {}).get("positions"), (run.info.get("layout") or {}).get("epochs")
    final = {name: float(values[-1]) for name, values in run.full_evals().items() if len(values)}
    loss, bits = final.get("val_loss_gpt2", math.nan), final.get("val_bits_per_byte", math.nan)
    if recipe is None or run.status != "finished" or not data or not positions or not epochs:
        return None
    scored = recipe.evaluation.split == "validation" and math.isfinite(loss) and math.isfinite(bits)
    family = family_of(recipe)
    if not scored or family is None:
        return None
    return KnownRun(
        family, corpus or str(data["source"]), data["text_hashes"]["validation"], data["tokenizer"],
        recipe.model.layers, recipe.model.width, recipe.model.context, recipe.steps, int(positions),
        round(positions / epochs), multiplying(recipe.model, recipe.model.vocabulary), recipe.schedule.peak,
        int(run.info["seed"]), round(loss, 4), round(bits, 5),
        round((data.get("entropy_floor") or 0.0) * loss / final["val_loss"], 4),
    )  # fmt: skip


def knowledge_for(
    family: str, context: int, validation: str, source: str, own: Iterable[KnownRun] = ()
) -> Knowledge | None:
    """The law of the family's runs on these validation stories, else of those on stories of a kind that `source` names;
    None where too few are known. A user's own runs count as kept ones do, and each run once."""
    runs = _usual(family, context, own)
    here = tuple(run for run in runs if run.validation == validation)
    named = {part.lower() for part in PurePath(source).parts}
    alike = tuple(run for run in runs if run.corpus == source or run.corpus.lower() in named)
    for chosen in (here, alike):
        if are_enough([run.point for run in chosen]):
            return Knowledge(_law_of(chosen), chosen[0].corpus, chosen[0].validation == validation, chosen)
    return None


def _usual(family: str, context: int, own: Iterable[KnownRun] = ()) -> list[KnownRun]:
    known = [run for run in dict.fromkeys((*kept_runs(), *own)) if run.family == family and run.context == context]
    return at_the_usual_rate(known)


def expectation(recipe: Recipe, validation: str, source: str, unique: int) -> tuple[Expected, Knowledge] | None:
    """The loss to expect of a recipe of a family on these stories; None where that is not known."""
    family = family_of(recipe)
    if family is None or recipe.schedule.peak != load_recipe(family).schedule.peak:
        return None
    knowledge = knowledge_for(family, recipe.model.context, validation, source)
    if knowledge is None:
        return None
    parameters, tokens = multiplying(recipe.model, recipe.vocabulary), recipe.steps * recipe.positions_per_step
    if not reach(knowledge.frontier, unique).holds(parameters, tokens):
        return None
    return expected(knowledge.frontier, parameters, tokens, unique), knowledge


def most_known(family: str, context: int) -> Knowledge:
    """The law of the stories on which most kept runs of the family were made."""
    runs = _usual(family, context)
    corpora = [run.corpus for run in runs]
    most = max(dict.fromkeys(corpora), key=corpora.count)
    chosen = tuple(run for run in runs if run.corpus == most)
    return Knowledge(_law_of(chosen), most, False, chosen)


def known_laws() -> list[Knowledge]:
    """Of each family on each kind of stories, where enough runs are kept."""
    found: dict[tuple[str, str, int], list[KnownRun]] = {}
    for run in at_the_usual_rate(kept_runs()):
        found.setdefault((run.corpus, run.family, run.context), []).append(run)
    enough = [tuple(runs) for runs in found.values() if are_enough([run.point for run in runs])]
    return [Knowledge(_law_of(runs), runs[0].corpus, False, runs) for runs in enough]


def at_the_usual_rate(runs: Iterable[KnownRun]) -> list[KnownRun]:
    """The runs at their preset's learning rate: those at others are there to choose it."""
    return [run for run in runs if run.peak == load_recipe(run.family).schedule.peak]


@cache
def _law_of(runs: tuple[KnownRun, ...]) -> Frontier:
    return frontier_of([run.point for run in runs], priors_for(runs))


def priors_for(runs: Sequence[KnownRun]) -> Priors:
    """What is expected of the law of runs of one family on stories of one kind. Another family's is expected to be like
    the usual one's on these stories, where that is known, so that it needs fewer runs."""
    first, priors = runs[0], PRIORS
    if first.family != FAMILIES[0]:
        usual = _usual(FAMILIES[0], first.context)
        alike = tuple(run for run in usual if run.validation == first.validation or run.corpus == first.corpus)
        if are_enough([run.point for run in alike]):
            priors = priors_like(_law_of(alike).law)
    return with_floor(priors, first.floor) if first.floor else priors
