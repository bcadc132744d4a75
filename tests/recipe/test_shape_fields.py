"""Every field of the shape is classified, and what the table says of counting is what counting does."""

import pytest
from tests.recipe.shapes import OTHER, PLAIN

from fabula.errors import InputError
from fabula.exchange.architectures import find_counterpart, has_counterpart
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Model
from fabula.recipe.shape_fields import SHAPE_FIELDS


def test_each_field_is_classified() -> None:
    assert list(SHAPE_FIELDS) == list(Model.model_fields), "a field of the shape stands in shape_fields.py, in order"
    assert set(OTHER) == set(SHAPE_FIELDS) - {"heads"}, (
        "a field of the shape has another value in tests/recipe/shapes.py"
    )


@pytest.mark.parametrize("name", SHAPE_FIELDS)
def test_what_counts_is_counted(name: str) -> None:
    plain = PLAIN
    if name == "heads":  # with a width of its own, or it only cuts the same width into other parts
        plain, changed = {**PLAIN, "head_width": 8}, {**PLAIN, "head_width": 8, "heads": 4}
    else:
        changed = {**PLAIN, name: OTHER[name]}
    counts = [count_parameters(Model(**each), vocabulary=11) for each in (plain, changed)]
    assert (counts[0] != counts[1]) == SHAPE_FIELDS[name].counts


@pytest.mark.parametrize("name", [name for name, each in SHAPE_FIELDS.items() if each.leaves != "checked"])
def test_what_leaves_exactly_or_never_does(name: str) -> None:
    assert has_counterpart(Model(**{**PLAIN, name: OTHER[name]})) == (SHAPE_FIELDS[name].leaves == "exactly")


def test_a_field_that_nobody_classified_keeps_a_model_here() -> None:
    class Wider(Model):
        unheard_of: bool = False

    shape = Wider(**PLAIN)
    assert not has_counterpart(shape)
    with pytest.raises(InputError, match=r"model\.unheard_of is not known to leave exactly; train modern-portable"):
        find_counterpart(shape)
