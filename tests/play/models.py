"""Tiny models on a page of our own, for the length of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from tests.model.runs import write_run
from tests.model.shapes import GPT, GPT2
from tests.serve.visits import running

from fabula.play.server.app import make_app
from fabula.play.shelf import Asked, Shelf
from fabula.recipe.schema import Recipe

STEPS = (10, 20)


def write_runs(folder: Path, names: tuple[str, ...]) -> list[Asked]:
    """Runs with random weights and two checkpoints each; every other one has another shape."""
    asked = []
    for number, name in enumerate(names):
        shape = (GPT, GPT2)[number % 2]
        tree = {"name": "x", "steps": 20, "model": shape.model_dump(), "schedule": {"peak": 1e-3}}
        run = folder / f"run-{number}"
        write_run(run, Recipe.from_tree(tree), steps=STEPS)
        (run / "run.json").write_text('{"status": "finished", "seed": 5, "init_from": null, "recipe": "x"}')
        asked.append(Asked(name, run))
    return asked


@contextmanager
def page_of(shelf: Shelf, token: str = "") -> Iterator[str]:
    """The address of a page with these models."""
    with running(lambda address: make_app(shelf, address, token)) as address:
        yield address.url


def routes_of(app: Any) -> dict[str, Any]:
    """What stands behind each path, to look at its queue."""
    assert isinstance(app.inner, Starlette)
    return {route.path: route.endpoint.__self__ for route in app.inner.routes if hasattr(route.endpoint, "__self__")}
