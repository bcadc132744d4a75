"""What every room's tests share: where the files beside the checkout are, and a quiet, offline process."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"

# Set while tests are collected, before any room is imported: the libraries read these once.
if (SHARED / "tiktoken_cache").is_dir():
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(SHARED / "tiktoken_cache"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "2")  # what the smallest machine has; torch reads it when it is imported


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Every machine looks offline to the tests, so that none passes only where there is a network."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: tuple) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"the tests run without network, and this one asks for {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """What a test draws from torch's own generator is the same each time, whatever ran before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


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


@pytest.fixture(scope="session")
def grammar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 stories of the built-in grammar, prepared once under a tokenizer of 512 tokens."""
    from fabula.text.prepare import prepare

    folder = tmp_path_factory.mktemp("grammar") / "stories"
    prepare("grammar", folder, tokenizer="bpe:512", limit=60)
    return folder
