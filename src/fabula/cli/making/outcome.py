"""What came out of a training, in plain words, and what to do next. Read from the run's record alone."""

import math
from pathlib import Path

from fabula.findings.diagnosis import diagnose
from fabula.findings.facts import read_recipe
from fabula.recipe.presets.reached import Reached, made_for, reached_by
from fabula.recipe.schema import Recipe
from fabula.record.reader import Run, read_run
from fabula.record.wording import plural

LITTLE = 0.05
"""A loss within 5 % of the untrained one: next to nothing was learned (as fabula.findings.rules.losses.loss has it)."""
ALIKE = 0.03
"""Another seed moves the loss of a short run by less than 3 %."""


def outcome(run_folder: Path) -> list[str]:
    """The sentences that a finished run ends with: its loss, what that is worth, and what to do about it."""
    run = read_run(run_folder)
    recipe, evals = read_recipe(run), run.full_evals()
    if recipe is None or len(evals.get("val_loss", ())) < 1:
        return []
    first, last = (float(evals["val_loss"][index]) for index in (0, -1))
    known_start = evals["step"][0] == 0 and len(evals["step"]) > 1 and math.isfinite(first)
    start = f" (untrained {first:.2f})" if known_start else ""
    split = "" if recipe.evaluation.split == "validation" else f" on the split {recipe.evaluation.split}"
    said = [f"validation loss {last:.2f}{start} after {plural(recipe.steps, 'step')}{split}; lower is better."]
    if known_start and last > (1.0 - LITTLE) * first:
        worse = "worse than before it was trained" if last > first else "hardly better than before it was trained"
        return [*said, f"The model is {worse}. `fabula diagnose {run_folder}` says what may be wrong."]
    floor = (run.info.get("data") or {}).get("entropy_floor")
    if floor is not None:
        said.append(f"The lowest loss that a model can reach on these stories is {floor:.2f}.")
    said += _against_others(run, recipe, last)
    wrong = [each.kind for each in diagnose(run).findings if each.severity in ("warning", "failure")]
    if wrong:
        said.append(
            f"There are warnings ({', '.join(dict.fromkeys(wrong))}): `fabula diagnose {run_folder}` explains them."
        )
    return said


def _against_others(run: Run, recipe: Recipe, loss: float) -> list[str]:
    """What the same recipe reached before, and whether to train longer."""
    rows = reached_by(recipe)
    if not rows:
        return _own_steps(recipe)
    here = run.info.get("data") or {}
    same_stories = [row for row in rows if row.validation == (here.get("text_hashes") or {}).get("validation")]
    if not same_stories:
        return [*_own_steps(recipe), *_elsewhere(rows, here)]
    rows = tuple(same_stories)
    gpt2_losses = run.full_evals().get("val_loss_gpt2", [math.nan])
    same_words = here.get("tokenizer_hash") == rows[0].tokenizer
    mine, unit = (loss, "") if same_words else (float(gpt2_losses[-1]), " per GPT-2 token")
    if not math.isfinite(mine):
        return _own_steps(recipe)

    def theirs(row: Reached) -> float:
        return row.val_loss if same_words else row.val_loss_gpt2

    said = [f"That is {mine:.2f} per GPT-2 token, by which vocabularies compare."] if unit else []
    longer = next((row for row in rows if row.steps > 1.1 * recipe.steps), None)
    before = next((row for row in reversed(rows) if row.steps <= 1.1 * recipe.steps), None)
    if before is not None:
        ratio = mine / theirs(before)
        how = "the same as" if abs(ratio - 1.0) <= ALIKE else "lower than" if ratio < 1.0 else "higher than"
        said.append(f"This is {how} the {theirs(before):.2f}{unit} of an earlier run ({plural(before.steps, 'step')}).")
    if longer is not None:
        said.append(
            f"This recipe reaches {theirs(longer):.2f}{unit} in {plural(longer.steps, 'step')}: train longer "
            f"(--steps {longer.steps})."
        )
    return said


def _elsewhere(rows: tuple[Reached, ...], here: dict[str, object]) -> list[str]:
    """A word on other stories, unless they are the grammar's: those are so much easier that it would mislead."""
    if here.get("entropy_floor") is not None:
        return []
    row = rows[-1]
    return [
        f"On {row.corpus} this recipe reached {row.val_loss_gpt2:.2f} per GPT-2 token in {plural(row.steps, 'step')}; "
        "your stories are others, so compare how the loss falls, not the number."
    ]


def _own_steps(recipe: Recipe) -> list[str]:
    """Whether a built-in recipe was stopped well before the steps that it is made for."""
    own = made_for(recipe)
    if own is None or recipe.steps > 0.9 * own:
        return []
    return [
        f"This recipe is made for {plural(own, 'step')}, and {plural(recipe.steps, 'step')} are "
        f"{100 * recipe.steps / own:.2g} % of them: train longer (--steps {own})."
    ]
