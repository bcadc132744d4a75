"""Refusing what is too large before it is built, with the largest that fits."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fabula.errors import InputError, is_out_of_memory
from fabula.model.loss import CHUNK_ELEMENTS, chunk_elements
from fabula.recipe.schema import GPT2_VOCABULARY, Recipe
from fabula.train.machine.choices import choose_device, choose_precision
from fabula.train.machine.memory.footprint import footprint
from fabula.train.machine.memory.free import free_gpu_memory, free_memory

MOST_STEPS = 10_000_000
"""The plan of a run lists the learning rate of each step: of ten million in some seconds."""
USUAL = {
    "batch.rows": 16,
    "batch.accumulation": 1,
    "model.width": 192,
    "model.layers": 6,
    "model.context": 256,
    "model.vocabulary": GPT2_VOCABULARY,
    "model.heads": 6,
    "model.head_width": 64,
    "model.feed_forward_width": 768,
}
"""The fields that memory depends on, with sizes as the built-in recipes have them: what is furthest above is named."""


class Room(NamedTuple):
    """What is free, in bytes; None where the system does not say."""

    processor: int | None
    gpu: int | None
    """None where the processor trains."""
    most_logits: int = CHUNK_ELEMENTS
    """In a chunk of the head: a GPU with much memory takes more."""


def free_room(device: str) -> Room:
    return Room(free_memory(), free_gpu_memory() if device == "cuda" else None, chunk_elements(device))


def check_size(recipe: Recipe) -> None:
    """Raise InputError for more steps than can be planned."""
    if recipe.steps > MOST_STEPS:
        raise InputError(f"{recipe.steps:,} steps are too many to plan; give {MOST_STEPS:,} at most")


def check_memory(
    recipes: Iterable[Recipe],
    notice: Callable[[str], None],
    asked: Collection[str] = (),
    workers: int = 1,
    room: Room | None = None,
) -> None:
    """Raise InputError for a recipe (its vocabulary known) that surely takes more memory than is free, naming the field
    that is too large, one of `asked` (what the user set) where there is one; say so where it may take more.

    `workers` trainings share what is free. Nothing is checked where the system does not say what that is.
    """
    for recipe in recipes:
        check_size(recipe)
        if recipe.own.model:
            continue  # what it takes is not known before it is built
        device = choose_device(recipe.compute.device).value
        there = room or free_room(device)
        if (told := too_large(recipe, _product_bytes(recipe, device), there, asked, workers)) is not None:
            if told.surely:
                raise InputError(told.sentence)
            notice(told.sentence)


@contextmanager
def out_of_memory_told(recipe: Recipe) -> Iterator[None]:
    """Where the memory is not enough all the same, an InputError names the rows that would fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        rows, accumulation = recipe.batch.rows, recipe.batch.accumulation
        if rows == 1 or recipe.own.model:
            instead = "take a smaller model, or end other programs"
        else:
            device = choose_device(recipe.compute.device).value
            fewer = largest_rows(recipe, _product_bytes(recipe, device), free_room(device))
            instead = f"what would fit is about --set batch.rows={fewer}"
            if rows % fewer == 0:
                instead += f" (with batch.accumulation={accumulation * rows // fewer} a step stays the same)"
        raise InputError(f"out of memory with batch.rows={rows}; {instead}") from error


def _product_bytes(recipe: Recipe, device: str) -> int:
    return 2 if choose_precision(recipe.compute.precision, device).value == "bfloat16" else 4


def largest_rows(recipe: Recipe, product_bytes: int, room: Room) -> int:
    """Rows, half of the recipe's at most, that `room` is likely enough for: a power of two times less."""
    rows = max(1, recipe.batch.rows // 2)
    while rows > 1 and too_large(recipe.with_values(**{"batch.rows": rows}), product_bytes, room) is not None:
        rows //= 2
    return rows


class TooLarge(NamedTuple):
    surely: bool
    """By the least that it takes; else by what it likely takes."""
    sentence: str


def too_large(
    recipe: Recipe, product_bytes: int, room: Room, asked: Collection[str] = (), workers: int = 1
) -> TooLarge | None:
    """Whether `recipe` needs more than there is, and the largest that fits; None where it fits."""

    def over(tried: Recipe, surely: bool) -> tuple[int, int, str] | None:
        """Bytes needed and free, of the memory that is too small, and which one that is."""
        each = footprint(tried, product_bytes, room.most_logits)
        numbers = each.least if surely else each.likely
        if room.gpu is None:
            places = [(numbers + each.batches, room.processor, "")]
        else:
            places = [(numbers, room.gpu, "of GPU memory "), (each.batches, room.processor, "")]
        for needed, free, where in places:
            if free is not None and needed * workers > free:
                return needed * workers, free, where
        return None

    found = over(recipe, surely=False)
    if found is None:
        return None
    (needed, free, where), surely = found, over(recipe, surely=True) is not None
    side_by_side = f", {workers} side by side" if workers > 1 else ""

    def fits(tried: Recipe) -> bool:
        return over(tried, surely=False) is None

    for field in _suspects(recipe, asked):
        largest = _largest(recipe, field, fits)
        if largest is not None:
            named, instead = f"{field}={_value(recipe, field)}", f"about {field}={largest}"
            break
    else:
        named, instead = recipe.name, "a smaller model: several fields are too large (`fabula recipes` lists sizes)"
    if surely:
        sentence = (
            f"{named} needs about {_gigabytes(needed)}{side_by_side}, {_gigabytes(free)} {where}are free; "
            f"the largest that fits is {instead}"
        )
    else:
        sentence = (
            f"{named} may need {_gigabytes(needed)}{side_by_side}, and {_gigabytes(free)} {where}are free: "
            f"it may be stopped for want of memory. What surely fits is {instead}"
        )
    return TooLarge(surely, sentence)


def _suspects(recipe: Recipe, asked: Collection[str]) -> list[str]:
    """The fields that may be too large: those that the user set, then the ones furthest above the usual."""
    fields = [field for field in USUAL if _value(recipe, field)]
    if not recipe.model.head_width:  # then the number of heads changes nothing
        fields.remove("model.heads")
    if "model.vocabulary" not in asked and recipe.vocabulary < 2 * USUAL["model.vocabulary"]:  # it is the data's
        fields.remove("model.vocabulary")
    return sorted(fields, key=lambda field: (field not in asked, -_value(recipe, field) / USUAL[field]))


def _value(recipe: Recipe, field: str) -> int:
    section, name = field.split(".")
    return int(getattr(getattr(recipe, section), name))


def _largest(recipe: Recipe, field: str, fits: Callable[[Recipe], bool]) -> int | None:
    """The largest value of `field` below the recipe's with which it fits, to two digits; None where there is none."""

    def with_value(value: int) -> bool:
        try:
            return fits(recipe.with_values(**{field: value}))
        except InputError:  # no recipe has this value with these others
            return False

    unit = _unit(recipe, field)
    low, high = 0, _value(recipe, field) // unit + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if with_value(middle * unit) else (low, middle)
    digits = max(0, len(str(low)) - 2)
    rounded = low // 10**digits * 10**digits * unit
    return rounded or None


def _unit(recipe: Recipe, field: str) -> int:
    """What every value of `field` is a multiple of, the other fields as they are."""
    model = recipe.model
    if field == "model.width" and not model.head_width:
        return model.heads * (2 if model.positions == "rope" else 1)
    if field == "model.heads" and model.kv_heads:
        return model.kv_heads
    return 2 if field == "model.head_width" else 1


def _gigabytes(num_bytes: float) -> str:
    size = num_bytes / 1e9
    return f"{size:,.0f} GB" if size >= 10 else f"{size:.1f} GB"
