"""The consistency of one's own stories: fitted once, kept beside them."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from fabula.coherence.consistency.fitting import fit
from fabula.coherence.consistency.model import Consistency, load, save
from fabula.coherence.stories import texts_of
from fabula.data.dataset import Dataset
from fabula.errors import InputError
from fabula.record.machine import num_cores

NAME = "consistency.npz"
TEXTS, TUNE = 2_000, 600
"""Stories that it is fitted on: 1,500 TinyStories told shuffled and spliced ones right at 94 to 95 %."""
FEWEST, FEWEST_TUNE = 200, 20
"""With fewer training stories than that, chance words decide."""
ALONE = 500
"""Stories that are looked at by this process alone, before others would have started."""


def kept(data: Dataset) -> Consistency | None:
    """The one that lies beside the data, if it was fitted on these stories."""
    path = data.folder / NAME
    if not path.is_file():
        return None
    fitted = load(path)
    return fitted if fitted.fitted_on == _name(data) else None


def fitted_on(data: Dataset, told: Callable[[str], None] = lambda _: None) -> Consistency:
    """The one of these stories; made and kept if it is not there yet. Raises InputError where there are too few."""
    if (known := kept(data)) is not None:
        return known
    texts, tune = texts_of(data, "train", TEXTS), texts_of(data, "tune", TUNE)
    if len(texts) < FEWEST or len(tune) < FEWEST_TUNE:
        raise InputError(
            f"{data.folder} has {len(texts)} training and {len(tune)} tune stories, too few to learn from what holds "
            "together; leave out --data, and what TinyStories taught is used"
        )
    told(f"learning from {len(texts):,} stories of {data.folder} what holds together: a minute or two, once")
    if len(texts) <= ALONE:
        fitted = fit(texts, tune, _name(data))
    else:
        with get_context("spawn").Pool(min(8, num_cores())) as pool:
            fitted = fit(texts, tune, _name(data), each=lambda see, side: pool.map(see, side, 16))
    try:
        save(fitted, path := Path(data.folder) / NAME)
        return load(path)  # as it will be read from now on: each weight in a byte
    except OSError:
        told(f"{data.folder} cannot be written to, so this is learned anew each time")
        return fitted


def _name(data: Dataset) -> str:
    return f"data {data.hash}"
