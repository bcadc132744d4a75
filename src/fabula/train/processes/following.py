"""The life of a process that does not lead: it does what the first one says, and ends when that one does."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import torch

from fabula.data.dataset import open_dataset
from fabula.errors import InputError
from fabula.recipe.schema import Recipe
from fabula.train.life.checkpoints.resumption import take_over
from fabula.train.life.run import set_up_training
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer
from fabula.train.processes.lost import ProcessLost
from fabula.train.processes.silent import SilentWriter
from fabula.train.processes.together import Together


def follow(together: Together) -> int:
    """Do what the first process says, until it has nothing more to say. Returns the exit code.

    What is wrong here is told here, where the stories lie elsewhere on this machine, say; what ends all of them is told
    by the first.
    """
    try:
        order = together.said()
    except ProcessLost:  # the first one had nothing to train, and has said so itself
        return 0
    together = replace(together, sharded=order["sharded"])
    try:
        torch.set_num_threads(order["threads"])
        recipe = Recipe.from_tree(order["recipe"])
        data = open_dataset(Path(order["data"]), recipe.tokenizer)
        keep = frozenset(order["keep"])
        training = set_up_training(recipe, data, order["seed"], Observer(), order["minutes"], keep, together=together)
        try:
            take_over(training, None)
        except ProcessLost:  # a dry run
            return 0
        return 0 if training.run(SilentWriter()) == "finished" else 1
    except (ProcessLost, TrainingFailed):
        return 1
    except InputError as error:
        print(f"fabula: process {together.rank} on {socket.gethostname()}: {error}", file=sys.stderr)
        return 2
