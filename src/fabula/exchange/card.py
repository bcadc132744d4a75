"""The model card, written from the record: what was trained, on what, how well, and how to use it."""

import math
import re
from pathlib import PurePath

import numpy as np

from fabula.exchange.architectures import Counterpart
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Recipe
from fabula.record.reader import Run
from fabula.record.text.markup import markdown, markdown_code


def model_card(
    recipe: Recipe, vocabulary: int, run: Run, step: int, counterpart: Counterpart, gguf: bool = False
) -> str:
    """The README.md of an exported folder. What the record does not hold is left out."""
    usage = _usage_gguf(recipe) if gguf else _usage(recipe)
    parts = [
        _front_matter(gguf),
        _head(recipe, vocabulary, run, step, counterpart),
        usage,
        _training(recipe, run, step),
    ]
    parts += [part for part in (_evaluation(run, step), _samples(run, step)) if part]
    parts.append(_limits(recipe))
    return "\n\n".join(parts) + "\n"


def _front_matter(gguf: bool) -> str:
    library = "gguf" if gguf else "transformers"
    return f"---\nlibrary_name: {library}\npipeline_tag: text-generation\ntags:\n- fabula\n- story-generation\n---"


def _head(recipe: Recipe, vocabulary: int, run: Run, step: int, counterpart: Counterpart) -> str:
    counts = count_parameters(recipe.model, vocabulary)
    origin = run.info.get("init_from")
    beginning = (
        f"by fabula from the weights of {markdown_code(PurePath(str(origin)).name)}"
        if origin
        else "from scratch by fabula"
    )
    text = (
        f"# {markdown(recipe.name)}\n\nA language model of {counts.total:,} parameters "
        f"({counts.without_embeddings:,} of them outside the embeddings), trained {beginning}: recipe "
        f"{markdown_code(recipe.name)}, seed "
        f"{run.info.get('seed', 'unknown')}, step {step:,} of {recipe.steps:,}. Its recipe is in `recipe.toml`."
    )
    if folded := counterpart.folded:
        text += (
            f"\n\nIt gives the same results as the trained model, as a `{counterpart.architecture}`: {_listed(folded)} "
            f"{'is' if len(folded) == 1 else 'are'} folded into the weights that stand next to it."
        )
    return text


def _beginning(recipe: Recipe) -> str:
    if recipe.batch.end_of_text:
        return "The tokenizer puts the end-of-text token first, as every story began in training."
    return "It was trained without end-of-text tokens, so it cannot end a story by itself."


def _usage_gguf(recipe: Recipe) -> str:
    name = file_name(recipe.name)
    return (
        f'## Use\n\n```\nollama create {name} -f Modelfile\nollama run {name} "Once upon a time"\n'
        f'llama-completion -m model.gguf -p "Once upon a time" -c {recipe.model.context} -no-cnv\n```\n\n'
        f"{_beginning(recipe)} The context is {recipe.model.context:,} tokens. Weights are float32."
    )


def file_name(recipe: str) -> str:
    """The recipe's name for a command: `demo/packed` as `demo-packed`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", recipe)


def _usage(recipe: Recipe) -> str:
    return (
        "## Use\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'folder = "."  # this folder\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder)\nmodel = AutoModelForCausalLM.from_pretrained(folder)\n"
        'inputs = tokenizer("Once upon a time", return_tensors="pt")\n'
        "output = model.generate(**inputs, max_new_tokens=100, do_sample=True, temperature=0.8, top_p=0.95)\n"
        "print(tokenizer.decode(output[0], skip_special_tokens=True))\n```\n\n"
        f"{_beginning(recipe)} The context is {recipe.model.context:,} tokens."
    )


def _training(recipe: Recipe, run: Run, step: int) -> str:
    rows = training_rows(recipe, run, step)
    return "## Training\n\n| | |\n|---|---|\n" + "\n".join(f"| {name} | {markdown(value)} |" for name, value in rows)


def training_rows(recipe: Recipe, run: Run, step: int) -> list[tuple[str, str]]:
    """What a model was trained on, and how, as names and plain texts."""
    data = run.info.get("data") or {}
    rows = [
        ("architecture", f"{recipe.model.layers} layers of width {recipe.model.width}, {recipe.model.heads} heads"),
        ("tokenizer", f"{data.get('tokenizer', recipe.tokenizer)}"),
        ("optimizer", _optimizer(recipe)),
        ("learning rate", _schedule(recipe)),
        ("batch", f"{recipe.positions_per_step:,} positions per step, {_layout(recipe)}"),
        ("weights", f"{recipe.compute.weights}, initialisation {recipe.initialization.scheme}"),
    ]
    if data.get("source") or data.get("path"):
        # Only the name: where it lay on the machine that trained is nobody's business.
        rows.insert(0, ("data", PurePath(str(data.get("source") or data["path"])).name))
    reached = run.train["step"] == step if "tokens" in run.train else np.array([])
    if reached.any():
        rows.append(("tokens seen", f"{int(run.train['tokens'][reached][0]):,}"))
    rows += [(name, f"{run.info[name]}") for name in ("device", "threads") if run.info.get(name)]
    if run.status != "finished":
        rows.append(("status of the run", run.status))
    return rows


def _layout(recipe: Recipe) -> str:
    own = recipe.own.batches
    return f"made by a function of its maker's own, {own}" if own else recipe.batch.layout


def _optimizer(recipe: Recipe) -> str:
    optimizer = recipe.optimizer
    clipping = f"gradient norm clipped at {optimizer.clip:g}" if optimizer.clip else "no gradient clipping"
    return (
        f"{optimizer.kind}, beta ({optimizer.beta1:g}, {optimizer.beta2:g}), epsilon {optimizer.epsilon:g}, weight "
        f"decay {optimizer.weight_decay:g}, {clipping}"
    )


def _schedule(recipe: Recipe) -> str:
    schedule = recipe.schedule
    if recipe.own.schedule:
        return f"by a function of its maker's own, {recipe.own.schedule}"
    if schedule.kind == "constant":
        return f"{schedule.peak:g}, constant"
    unit = "steps" if schedule.unit == "step" else "micro-steps"
    return f"{schedule.peak:g} to {schedule.floor:g}, {schedule.kind}, after {schedule.warmup:,} {unit} of warmup"


def _evaluation(run: Run, step: int) -> str:
    rows = evaluation_rows(run, step)
    if not rows:
        return ""
    lines = "\n".join(f"| {words} | {value} |" for words, value in rows)
    return (
        f"## Evaluation\n\nOn {_part(run, _evaluated(run, step))}, stories that were not used for training.\n\n"
        f"| measure | value |\n|---|---|\n{lines}"
    )


def _evaluated(run: Run, step: int) -> int:
    """The place of the last evaluation of `step`; -1 where there is none."""
    return max(np.flatnonzero(run.evals["step"] == step).tolist(), default=-1)


def _part(run: Run, place: int) -> str:
    whole = "full" in run.evals and run.evals["full"][place] == 1.0
    return "the whole validation split" if whole else "a fixed subset of the validation split"


def evaluation_rows(run: Run, step: int) -> list[tuple[str, str]]:
    """What the last evaluation of `step` measured, as names and numbers; none where it was not evaluated."""
    evals, place = run.evals, _evaluated(run, step)
    if place < 0:
        return []
    names = [
        ("val_loss", "loss, nats per token (lower is better)", ".4f"),
        ("val_loss_gpt2", "loss, nats per GPT-2 token of the same text", ".4f"),
        ("val_bits_per_byte", "bits per byte of text", ".4f"),
        ("val_loss_story", "loss on each story by itself, nats per token", ".4f"),
    ]
    return [
        (words, f"{evals[name][place]:{form}}")
        for name, words, form in names
        if name in evals and math.isfinite(evals[name][place])
    ]


def _samples(run: Run, step: int) -> str:
    chosen = [each for each in run.samples if each.get("step") == step and each.get("completion")]
    if not chosen:
        return ""
    sample = chosen[0]
    lines = f"{sample.get('prompt') or ''}{sample['completion']}".splitlines()
    quoted = "\n".join(f"> {markdown(line)}".rstrip() for line in lines)
    drawn = f"temperature {sample.get('temperature')}, top-p {sample.get('top_p')}, seed {sample.get('seed')}"
    return f"## A completion\n\nThe first sample of this step, not cherry-picked ({drawn}):\n\n{quoted}"


def _limits(recipe: Recipe) -> str:
    return (
        "## Limits\n\nA small model of one kind of text. It knows no facts, follows no instructions, was not tuned for "
        f"safety, and forgets what lies further back than its {recipe.model.context:,} tokens of context."
    )


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
