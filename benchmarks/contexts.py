"""What a trained model reaches where it sees less: the validation split by the stream protocol at shorter contexts.

python benchmarks/contexts.py RUN --data DIR --out docs/benchmarks/contexts.json

For models with rotary positions, which no context is built into. Losses are nats a GPT-2 token.
"""

import argparse
from pathlib import Path

import torch
from results import write

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.model.load import load_model
from fabula.score.held_out import score
from fabula.score.rulers import Ruler
from fabula.train.engine import loss_functions

SHORTEST = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model, recipe, tokenizer = load_model(arguments.run)
    if recipe.model.positions != "rope":
        raise InputError(f"{arguments.run} has learned positions, which belong to its own context")
    _, token_losses = loss_functions(model, some_hidden=False)
    held_out = open_dataset(arguments.data, recipe.tokenizer).split("validation")
    losses, context = {}, recipe.model.context
    with torch.no_grad():
        while context >= SHORTEST:
            ruler = Ruler(held_out, "stream", context)
            losses[str(context)] = score(token_losses, ruler, tokenizer.eot, torch.device("cpu")).loss_gpt2
            context //= 2
    write({"run": arguments.run.name, "parameters": sum(each.numel() for each in model.parameters()),
           "loss_at_context": losses}, arguments.out)  # fmt: skip


if __name__ == "__main__":
    main()
