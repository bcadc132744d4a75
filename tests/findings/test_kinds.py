"""The kinds that no curve shows, on recipes, events and completions with them and without them."""

import pytest
from tests.findings.kinds import EXAMPLES


@pytest.mark.parametrize("kind", EXAMPLES)
def test_it_is_found_where_it_is(kind: str) -> None:
    shown, _ = EXAMPLES[kind]
    assert [bool(made().of(kind)) for made in shown] == [True] * len(shown)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_it_is_not_said_where_it_is_not(kind: str) -> None:
    _, not_shown = EXAMPLES[kind]
    assert [bool(made().of(kind)) for made in not_shown] == [False] * len(not_shown)
