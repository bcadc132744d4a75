"""What the sections of a recipe are made of: frozen, strict values, and the numbers that they hold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST_COUNT = 1_000_000_000
"""No training counts further, of steps, rows or widths; a larger number is a slip of the hand."""
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
CountOrNone = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)
