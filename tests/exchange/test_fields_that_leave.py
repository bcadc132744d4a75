"""What an export is told of each field of a shape is so."""

import pytest
from tests.recipe.shapes import OTHER, PLAIN

from fabula.errors import InputError
from fabula.exchange.architectures import CHECKED, EXACT, find_counterpart, has_counterpart
from fabula.recipe.schema import Model

FIELDS = set(Model.model_fields)


def test_each_field_has_another_value_to_be_tried_with() -> None:
    assert set(OTHER) == FIELDS - {"heads"}, "a field of the shape has another value in tests/recipe/shapes.py"
    assert EXACT | CHECKED <= FIELDS
    assert not EXACT & CHECKED


@pytest.mark.parametrize("name", sorted(FIELDS - CHECKED))
def test_what_leaves_exactly_or_never_does(name: str) -> None:
    assert has_counterpart(Model(**{**PLAIN, name: OTHER[name]})) == (name in EXACT)


def test_a_field_that_nobody_taught_the_exports_keeps_a_model_here_where_it_is_used() -> None:
    class Wider(Model):
        unheard_of: str | bool = "by default"

    assert has_counterpart(Wider(**PLAIN, unheard_of=False))
    for shape in (Wider(**PLAIN), Wider(**PLAIN, unheard_of=True)):
        with pytest.raises(
            InputError, match=r"exactly: model\.unheard_of together with the rest of it. Train modern-port"
        ):
            find_counterpart(shape)
