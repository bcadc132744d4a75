"""Every kind of finding that the design names: one line in the documentation, one rule, examples on both sides."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from tests.findings.heldout import CASES
from tests.findings.kinds import EXAMPLES

from fabula.findings import lint, rules
from fabula.findings.kinds import KINDS, RULES
from fabula.findings.rule import Rule
from fabula.recipe import load_recipe
from fabula.study.inference.contrasts import Contrast

OURS = {
    "lr_too_high",
    "lr_raised",
    "lr_restarts",
    "lr_start_not_seen",
    "data_changed",
    "among_its_kind",
    "weights_unchanged",
    "dead_units",
    "vanishing_gradient",
    "attention_logits_growing",
    "gradient_hump",
    "updates_too_small",
    "updates_too_large",
    "throughput_dropped",
    "memory_growing",
    "validation_below_training",
    "record_incomplete",
}
"""Beyond the design: trainings at thirty times the rate ended badly without a sign in their loss; logs of others hold
several schedules, begin late, and change their data on the way; and what is normal, kept runs say; what looks inside
see, layer by layer; a norm that rises in the midst of a run says that something happened there; and logs tell of the
machine, and of training losses that are measured in another way than the validation's."""


def named_in_the_design(shared: Path) -> set[str]:
    """What stands in backquotes where its section on findings lists the kinds, line by line: `loss: ...`."""
    section = (shared / "DESIGN.md").read_text(encoding="utf-8").split("## Findings")[1].split("\n## ")[0]
    listed = section.split("`docs/findings.md`:", 1)[1].rsplit("A rule that lacks its column", 1)[0]
    return set(re.findall(r"`([a-z_]+)`", listed))


def defined(repo: Path) -> list[str]:
    """The kinds in the table of docs/findings.md, each with a line."""
    page = (repo / "docs" / "findings.md").read_text(encoding="utf-8")
    table = page.split("<!-- kinds: written by findings_page.py -->")[1].split("<!-- end -->")[0]
    return re.findall(r"^\| `([a-z_]+)` \| \S", table, flags=re.MULTILINE)


def of_rules() -> set[str]:
    return {kind.name for kind in KINDS.values() if kind.rule is not None}


def said_by(module: ModuleType) -> set[str]:
    """The kinds that the code of a rule file names: `Finding(kind="spike", ...)`, or first in a call of a helper."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    named = [word.value for call in calls for word in call.keywords if word.arg == "kind"]
    named += [call.args[0] for call in calls if call.args and getattr(call.func, "id", "") == "_findings"]
    return {node.value for node in named if isinstance(node, ast.Constant)}


def rule_files() -> list[ModuleType]:
    found = pkgutil.walk_packages(rules.__path__, f"{rules.__name__}.")
    return [importlib.import_module(each.name) for each in found if not each.ispkg]


def test_the_table_and_the_rules_name_the_same_kinds() -> None:
    declared = {(kind.rule.look.__module__, kind.name) for kind in KINDS.values() if kind.rule is not None}
    said = {(module.__name__, kind) for module in rule_files() for kind in said_by(module)}
    assert said == declared


def test_each_rule_is_in_the_table() -> None:
    made = {each for module in rule_files() for each in vars(module).values() if isinstance(each, Rule)}
    assert made == RULES.keys()
    assert {kind.name for kind in KINDS.values() if kind.rule is None} == set(
        get_args(Contrast.__annotations__["kind"])
    )


def test_a_finding_that_the_table_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for rule, kinds in RULES.items():
        monkeypatch.setitem(RULES, rule, tuple(kind for kind in kinds if kind != "too_few_steps"))
    with pytest.raises(AssertionError, match=r"kinds\.py"):
        lint(load_recipe("basic").with_values(steps=50))


def test_each_kind_has_one_line_in_the_documentation(repo: Path) -> None:
    assert all(kind.line and "\n" not in kind.line for kind in KINDS.values())
    assert defined(repo) == list(KINDS)


@pytest.mark.beside
def test_the_designs_kinds_are_all_there(repo: Path, shared: Path) -> None:
    named = named_in_the_design(shared)
    assert len(named) > 40 and "divergence" in named and "copying" in named
    assert named | OURS == set(defined(repo))
    assert not named & OURS


def test_each_kind_has_examples_on_both_sides() -> None:
    """Curves with the kind and without it (held out from its thresholds), or recipes, events and completions."""
    assert {*CASES, *EXAMPLES} == of_rules()
    assert all(case.shows is not case.shows_not for case in CASES.values())
    assert all(shown and not_shown for shown, not_shown in EXAMPLES.values())
