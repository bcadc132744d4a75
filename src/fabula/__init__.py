"""fabula trains small language models from scratch and shows, with evidence, what made them good.

The names below come from their modules when they are first asked for: `import fabula` loads none of them, and no torch.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "Record": "fabula.api.record",
    "Recipe": "fabula.recipe",
    "load_recipe": "fabula.recipe",
    "recipe_names": "fabula.recipe",
    "prepare": "fabula.api.making",
    "plan": "fabula.api.planning",
    "train": "fabula.api.making",
    "load": "fabula.api.model",
    "read": "fabula.api.diagnosing",
    "read_all": "fabula.api.diagnosing",
    "diagnose": "fabula.api.diagnosing",
    "compare": "fabula.api.comparing",
    "report": "fabula.api.comparing",
    "InputError": "fabula.errors",
}
"""Name -> where it lives (docs/python.md). `__init__.pyi` has the same for type checkers."""
PACKAGES = ("train", "report")
"""Names of packages as well as of functions."""

__all__ = ["__version__", *PUBLIC]


def _public(name: str) -> Any:
    return getattr(importlib.import_module(PUBLIC[name]), name)


def __getattr__(name: str) -> Any:
    if name in PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = _public(name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Callable(ModuleType):
    """A package that is called as the function of its name: `fabula.train(...)`, beside `fabula.train.loop`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._function(*arguments, **options)

    @property
    def _function(self) -> Any:
        return _public(self.__name__.rpartition(".")[2])

    @property
    def __signature__(self) -> Any:
        from inspect import signature  # spares `import fabula` half of its time

        return signature(self._function)


class _Package(ModuleType):
    """Python sets a package as an attribute of the one around it when it is imported, by whomever."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in PACKAGES and type(value) is ModuleType:
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
