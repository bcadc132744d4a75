"""What a rule is: a pure function from facts to findings. The kinds it may find are declared in `kinds.py`."""

from collections.abc import Callable
from dataclasses import dataclass

from fabula.findings.facts import Facts
from fabula.record.finding import Finding
from fabula.record.plural import plural as plural


@dataclass(frozen=True)
class Silent:
    """A rule that could not look, and why: `needs a validation loss`, `applies only to AdamW`."""

    why: str
    option: str = ""
    """The command-line option that would wake it: `--vocab`."""

    @property
    def lacks(self) -> str:
        """`needs the vocabulary's size (--vocab)`."""
        return f"{self.why} ({self.option})" if self.option else self.why


Outcome = list[Finding] | Silent


@dataclass(frozen=True)
class Rule:
    look: Callable[[Facts], Outcome]
    needs_run: bool


def rule(look: Callable[[Facts], Outcome]) -> Rule:
    """Make a function a rule over what a run recorded."""
    return Rule(look, needs_run=True)


def recipe_rule(look: Callable[[Facts], Outcome]) -> Rule:
    """Make a function a rule that also looks at a recipe, before step 0."""
    return Rule(look, needs_run=False)


def number(value: float) -> str:
    """A number for a sentence: four significant digits at most, thousands separated, no trailing zeros."""
    if value != value:
        return "not finite"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e7:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if size >= 10:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.3f}".rstrip("0").rstrip(".")


def share(value: float) -> str:
    """A share in per cent: `12 %`, `0.4 %`."""
    percent = 100.0 * value
    return f"{percent:.0f} %" if abs(percent) >= 9.95 or percent == 0 else f"{percent:.2g} %"
