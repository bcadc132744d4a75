"""What `import fabula` costs, and that every public name is there, for people and for type checkers."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fabula


def test_importing_it_loads_nothing_heavy() -> None:
    script = (
        "import sys; before = set(sys.modules); import fabula\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fabula"]


@pytest.mark.long
def test_reading_loads_no_torch() -> None:
    script = (
        "import sys, fabula\n"
        "fabula.Record, fabula.read, fabula.diagnose, fabula.compare, fabula.report, fabula.Recipe, fabula.prepare\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_stub_says_where_each_name_comes_from(repo: Path) -> None:
    tree = ast.parse((repo / "src" / "fabula" / "__init__.pyi").read_text(encoding="utf-8"))
    said = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert said == fabula.PUBLIC


@pytest.mark.parametrize("name", sorted(fabula.PUBLIC))
def test_every_name_has_its_docstring(name: str) -> None:
    public = fabula._public(name)
    assert inspect.getdoc(public) and name in dir(fabula) and name in fabula.__all__


def test_a_package_that_is_called_as_a_function_stays_a_package() -> None:
    import fabula.report
    import fabula.train.observer

    assert isinstance(fabula.train, ModuleType) and fabula.train.observer.Observer
    assert list(inspect.signature(fabula.train).parameters)[:2] == ["recipe", "data"]
    assert list(inspect.signature(fabula.report).parameters)[:2] == ["paths", "out"]
    with pytest.raises(fabula.InputError, match="no run is named"):
        fabula.report()


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Recorder"):
        fabula.Recorder  # noqa: B018
