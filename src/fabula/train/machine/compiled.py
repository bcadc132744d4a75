"""What torch.compile keeps for the next run of a recipe."""

import torch
import torch._functorch.config as autograd_settings

from fabula.train.machine.choice import Choice

ALLOW = "autograd_cache_allow_custom_autograd_functions"


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
