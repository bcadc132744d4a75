"""What a rule is: a pure function from facts to findings. The kinds it may find are declared in `kinds.py`."""

from collections.abc import Callable
from dataclasses import dataclass

from fabula.findings.facts import Facts
from fabula.record.finding import Finding
from fabula.record.wording import number as number
from fabula.record.wording import plural as plural
from fabula.record.wording import share as share


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
