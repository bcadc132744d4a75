"""What torch.compile keeps for the next run of a recipe, and what it needs before the first kernel."""

import shutil
import threading
from collections.abc import Callable, Sequence

import torch
import torch._functorch.config as autograd_settings

from fabula.train.machine.choice import Choice

ALLOW = "autograd_cache_allow_custom_autograd_functions"
PRECOMPILE = "cpp_cache_precompile_headers"

SMALLEST_KERNEL = """
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C" void kernel(float* out) { out[0] = 0; }
"""
FIRST_KERNEL = "fabula-first-kernel"
"""The thread that has it made."""


def reuse_compiled() -> Choice:
    """Let a later process take over the differentiated graph, not only the kernels made of it.

    torch keeps no graph with an autograd.Function unless it is asked to, for it cannot know what such a function reads
    besides its arguments; ours, the head and the embedding, read constants, which stand in the traced graph that the
    cache is looked up by. Until the first step of `basic` was made, a second process computed for 7.6 s without this
    and for 3.7 s with it.
    """
    if not hasattr(autograd_settings, ALLOW):
        return Choice("kernels", f"torch {torch.__version__} keeps no graph that holds a differentiation of our own")
    setattr(autograd_settings, ALLOW, True)
    return Choice("kernels and graph", "the next run of this recipe finds them in torch's cache and starts in seconds")


def do_without_openssl() -> None:
    """torch compares the header of all kernels by a checksum of the program openssl, and compiles nothing where that is
    not installed. Then each kernel reads the header itself: 5 s of one core in place of 1.5, and still a faster
    training."""
    if shutil.which("openssl") is not None:
        return
    import torch._inductor.config as kernel_settings  # spares who only reads a model torch's compiler

    if hasattr(kernel_settings, PRECOMPILE):
        setattr(kernel_settings, PRECOMPILE, False)


def make_first_kernel() -> None:
    """Begin, on a thread, what torch would do when it comes to its first kernel for a processor, while the graph is
    traced meanwhile: it asks which vectors the compiler knows, and compiles the header of all kernels. One core is busy
    with that for 18 s on a machine that has never done it, for 1 s on another, where the header is only compared. The
    smallest kernel takes the way of all others, so that what they need is found and kept as they look for it.
    """
    try:
        from torch._inductor.codecache import CppPythonBindingsCodeCache  # here: the threads are not to import at once

        load = CppPythonBindingsCodeCache.load_pybinding
    except (ImportError, AttributeError):  # another torch has it elsewhere: then it happens in its time
        return
    if not any(thread.name == FIRST_KERNEL for thread in threading.enumerate()):
        threading.Thread(target=_attempt, args=(load,), daemon=True, name=FIRST_KERNEL).start()


def _attempt(load: Callable[[Sequence[str], str], object]) -> None:
    """What goes wrong here goes wrong again where it is needed, and is told there."""
    try:
        load(["float*"], SMALLEST_KERNEL)
    except (AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError):
        return
