"""What every room's tests share: where the files beside the checkout are, and a quiet, offline process."""

import importlib.util
import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"

# Set while tests are collected, before any room is imported: the libraries read these once.
if (SHARED / "tiktoken_cache").is_dir():
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(SHARED / "tiktoken_cache"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    """As many torch threads as OMP_NUM_THREADS says, here and in the sums that tests compare."""
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of this checkout."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout: real stories and reference runs are not here")
    return SHARED


@pytest.fixture(scope="session")
def tinystories(shared: Path) -> Path:
    """A folder with train.jsonl and validation.jsonl of real stories."""
    folder = shared / "data" / "tinystories"
    if not (folder / "train.jsonl").is_file():
        pytest.skip("../shared has no data/tinystories")
    return folder
