"""Automatic choices, each with the reason that the user sees."""

import os
import platform
import shutil

import torch

from fabula.errors import InputError
from fabula.model.kernels.head import find_fused
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Recipe
from fabula.train.machine.choice import Choice

COMPILE_FROM_FLOP = 5e12
"""Where compiling surely pays on two cores: it takes 20 s the first time, and `basic` then makes 290 GFLOP/s instead of
110, so that it is even at F / 110e9 - F / 290e9 = 20 s, which is F = 3.5e12."""

GPU_COMPILE_SECONDS = 40.0
"""What compiling takes there the first time (an H100 with 16 cores: 36 to 49 s)."""
GPU_SAVED_SECONDS, GPU_SAVED_PER_FLOP = 2e-3, 3e-15
"""What compiling saves of a step: so much of any, and so much of each operation. There, as one graph each, a step of
`basic` (9e10 FLOP) took 4.0 ms uncompiled and 1.8 compiled, one of `quality` (1e12) 11.2 and 6.2."""


def choose_device(wanted: str = "auto") -> Choice:
    """Raises InputError where the recipe wants a device that is not there."""
    if wanted != "auto":
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not there[wanted]:
            raise InputError(
                f'compute.device = "{wanted}", but torch {torch.__version__} finds none here; leave it out'
            )
        return Choice(wanted, "the recipe says so")
    if torch.cuda.is_available():
        return Choice("cuda", f"{torch.cuda.get_device_name()} is available")
    if torch.backends.mps.is_available():
        return Choice("mps", "Apple's GPU is available, CUDA is not")
    return Choice("cpu", "no CUDA or MPS device")


def choose_precision(wanted: str, device: str) -> Choice:
    """Type of the matrix products. A processor without native bfloat16 still computes it, slowly, when asked to."""
    if wanted != "auto":
        return Choice(wanted, "the recipe says so")
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bfloat16", "native on this GPU")
        return Choice("float32", "this GPU has no native bfloat16")
    if device == "mps":
        return Choice("float32", "bfloat16 on MPS is not proven here")
    detect = getattr(torch.cpu, "get_capabilities", None)
    if detect is None:
        return Choice("float32", f"torch {torch.__version__} cannot tell whether this processor multiplies bfloat16")
    capabilities = detect()
    if capabilities.get("bf16"):
        return Choice("float32", "bfloat16 on ARM is not proven here")
    if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
        return Choice("bfloat16", "this processor multiplies bfloat16 natively")
    return Choice("float32", f"this processor ({platform.machine()}) has no native bfloat16 products")


def choose_fused(device: str, precision: str) -> Choice:
    """Whether attention, and what is between the products of the head, are our own C (fabula.model.kernels.head)."""
    if device != "cpu" or precision != "bfloat16":
        return Choice("off", "only for bfloat16 on a processor")
    native = find_fused()
    return Choice("off" if native.library is None else "on", native.reason)


def choose_updates(device: str) -> Choice:
    """Who decides whether an update is made (update/device_step.py), where one process makes the run."""
    if device == "cuda":
        return Choice("device", "a host that asked whether a gradient is finite would leave the GPU idle")
    return Choice("host", "only a GPU works while the host goes on")


MOST_MICRO_STEPS = 16
"""In one graph: each is a copy of all kernels of a forward and backward pass, some KB each."""


def choose_graph(device: str, accumulation: int) -> Choice:
    """Whether an update is launched as one CUDA graph, where one process makes the run."""
    if device != "cuda":
        return Choice("off", "only for CUDA")
    if accumulation > MOST_MICRO_STEPS:
        return Choice("off", f"{accumulation} micro-steps are too many for one graph")
    return Choice("on", "one launch an update in place of thousands")


OF_OWN_OPTIMIZER = {
    "updates": Choice("host", "an optimizer of your own need not know how to leave an update out"),
    "graph": Choice("off", "only where the device decides on updates"),
}
"""Instead of the two above: of torch's optimizers, too, only the fused ones heed found_inf."""


def training_flop(recipe: Recipe, vocabulary: int) -> float:
    """Floating-point operations of a whole training: 6 for each parameter in a matrix and each position (Kaplan et al.
    2020, table 1); the attention's own products, under a tenth at these contexts, are left out."""
    counts = count_parameters(recipe.model, vocabulary)
    matrices = counts.without_embeddings + vocabulary * recipe.model.width
    return 6.0 * matrices * recipe.positions_per_step * recipe.steps


def choose_compile(recipe: Recipe, vocabulary: int, device: str) -> Choice:
    """Whether to run the step through torch.compile. The rule depends on the recipe, never on a timing, so that the
    same run makes the same choice twice.

    Raises InputError when the recipe insists on compiling and there is no C++ compiler.
    """
    wanted = recipe.compute.compile
    if wanted == "off":
        return Choice("off", "the recipe says so")
    if device == "mps":
        return Choice("off", "torch.compile on MPS is not proven here")
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if device == "cpu" and (compiler is None or os.name == "nt"):
        reason = "no C++ compiler found" if compiler is None else "torch.compile needs a set-up compiler on Windows"
        if wanted == "on":
            raise InputError(f'compute.compile = "on", but {reason}; install one or use compute.compile = "auto"')
        return Choice("off", reason)
    if wanted == "on":
        return Choice("on", "the recipe says so")
    if recipe.own.model:
        return Choice("off", "of a model of your own it is not known whether it pays; compute.compile=on tries it")
    flop = training_flop(recipe, vocabulary)
    if device == "cuda":
        saved = recipe.steps * GPU_SAVED_SECONDS + flop * GPU_SAVED_PER_FLOP
        if saved < GPU_COMPILE_SECONDS:
            return Choice("off", f"it takes about {GPU_COMPILE_SECONDS:g} s, and would save about {saved:.0f} s")
        return Choice("on", f"it takes about {GPU_COMPILE_SECONDS:g} s, and saves about {saved:,.0f} s")
    if flop < COMPILE_FROM_FLOP:
        return Choice("off", f"so short a run ({flop:.0e} FLOP) is over before compiling pays")
    return Choice("on", f"so long a run ({flop:.0e} FLOP) repays compiling")
