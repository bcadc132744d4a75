"""What the compiler asks once, while it traces, and takes for granted from then on."""

from collections.abc import Callable
from typing import TypeVar

Asked = TypeVar("Asked", bound=Callable[..., object])


def constant(function: Asked) -> Asked:
    """The mark of torch.compiler.assume_constant_result, which loads the whole compiler to set it: two seconds, which
    nobody waits for who only reads a model, prompts it or trains it uncompiled."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
