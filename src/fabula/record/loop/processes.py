"""Which of several processes of one training writes the record."""

import os
import warnings

RANKS = ("RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
"""How torchrun and accelerate, Open MPI, MPICH and Slurm number processes, the surest first."""


def is_first_process() -> bool:
    """Whether this process is alone, or the first of several.

    Slurm numbers tasks that have nothing to do with each other as well, so a task that will not write says so.
    """
    for name in RANKS:
        text = os.environ.get(name, "").strip()
        if not text.isdecimal():
            continue
        if int(text) and name == "SLURM_PROCID":
            warnings.warn(
                f"{name}={text}: this process leaves the record to process 0; if it trains a run of its own, "
                "give is_writer=True",
                stacklevel=4,
            )
        return int(text) == 0
    return True
