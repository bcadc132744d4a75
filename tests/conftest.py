"""What all tests share: the two homes of the tests, and a quiet, offline process.

The tests are at home in a clean clone that lies alone, and beside ../shared, where real stories, GPT-2's vocabulary and
the reference runs are. What is asked of those is asked of stand-ins of our own as well, in both homes; tests of the
real thing are marked `beside`, and in a clone alone they are left out and counted at the end.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.homes import OWN_AND_REAL, REPO, SHARED

# Set while tests are collected, before any package is imported: the libraries read these once.
if (SHARED / "tiktoken_cache").is_dir():
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(SHARED / "tiktoken_cache"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ |= dict.fromkeys(
    ["http_proxy", "https_proxy", "all_proxy"], "http://127.0.0.1:9"
)  # for other processes, too
os.environ["no_proxy"] = "127.0.0.1,localhost"
# What the smallest machine has; one where tests run side by side (two of them on two cores took 35 s instead of 55).
# torch reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

# A shell starts what runs in the background deaf to Ctrl-C, nohup deaf to SIGHUP, and children inherit it: tests of
# signals would find how they were started.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A busy machine is no reason to fail: a limit on how long an example may take would find the machine, not the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

LEFT_OUT = pytest.StashKey[int]()
PASSED_TO, PASSED_BEFORE = "FABULA_TESTS_PASSED_TO", "FABULA_TESTS_PASSED_BEFORE"
"""Files with the names of the tests that have passed: the one to write, and the one whose tests need not run again. So
.ci/run asks in the second home only what the first one could not answer."""


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ../shared, leaves out what asks for it; without an accelerator, skips what needs one; leaves out what has
    passed before. What looks into a browser is long; and the longest tests begin, so that no core waits for one of them
    at the end."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.long)
    if before := os.environ.get(PASSED_BEFORE):
        passed = set(Path(before).read_text(encoding="utf-8").splitlines())
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]
    if not SHARED.is_dir():
        left_out = [item for item in items if item.get_closest_marker("beside")]
        items[:] = [item for item in items if not item.get_closest_marker("beside")]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not has_cuda():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="gpu: torch finds no CUDA device"))


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """A test that has the command line compute on other threads leaves none of them to the next one."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def _streams_stay_open() -> Iterator[None]:
    """absl (of Keras and TensorBoard) keeps the stderr that it was imported under, which is pytest's, and its handler
    closes that when another library (submitit, uvicorn) sets up logging: every test after that would fail."""
    yield
    if (absl := sys.modules.get("absl.logging")) is not None:
        absl.PythonHandler.close = logging.Handler.close


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker says how many it left out ..."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """... and the process that sums up hears it; each worker left out the same ones."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if to := os.environ.get(PASSED_TO):
        passed = [report.nodeid for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
        Path(to).write_text("".join(f"{nodeid}\n" for nodeid in sorted(passed)), encoding="utf-8")
    if num := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"left out: {num} tests that ask the real TinyStories, GPT-2's vocabulary or the reference runs, "
            "for there is no ../shared beside this checkout; the same is asked of stand-ins above"
        )


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


SMALLER: dict[str, dict[str, Any]] = {
    "fabula.score.held_out": {"POSITIONS_PER_BATCH": 512},
    "fabula.score.rulers": {"TRAIN_SAMPLE_BYTES": 4_000},
}
"""A training of a test makes some hundred positions a step. With the sizes that are made for others, two thirds of its
time would go into scoring tens of kilobytes, in batches that are filled up to 4,096 positions."""


@pytest.fixture(scope="session", autouse=True)
def sizes_of_others() -> Iterator[pytest.MonkeyPatch]:
    """Makes them smaller in this process, and gives who can undo it: see `as_other_processes`."""
    with pytest.MonkeyPatch.context() as patch:
        make_smaller(patch)
        yield patch


def make_smaller(patch: pytest.MonkeyPatch) -> None:
    for name, values in SMALLER.items():
        for constant, value in values.items():
            if name in sys.modules:
                patch.setattr(sys.modules[name], constant, value)


@pytest.fixture
def as_other_processes(sizes_of_others: pytest.MonkeyPatch) -> Iterator[None]:
    """The sizes of everybody, for what other processes make together with this one, or made once: they know of no
    test."""
    sizes_of_others.undo()
    yield
    make_smaller(sizes_of_others)


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
    """The folder of real data beside the checkout: for tests that are marked `beside`."""
    assert SHARED.is_dir(), "a test that asks for ../shared is marked `beside`"
    return SHARED


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def stories(request: pytest.FixtureRequest) -> Path:
    """A folder with train.jsonl and validation.jsonl: some stories written for the tests, or TinyStories."""
    return REPO / "tests" / "stories" if request.param == "own" else SHARED / "data" / "tinystories"


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def baseline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A log of a run that diverges twice (tests/curves.py: Baseline)."""
    from tests.curves import draw_baseline, reference_baseline

    if request.param == "own":
        return draw_baseline(tmp_path_factory.mktemp("curves") / "baseline.csv")
    return reference_baseline(SHARED / "reference" / "seed_runs" / "quality_baseline.csv")


@pytest.fixture(scope="module", params=OWN_AND_REAL)
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A log of a run that stays stable, with its learning rates (tests/curves.py: Packed)."""
    from tests.curves import draw_packed, reference_packed

    if request.param == "own":
        return draw_packed(tmp_path_factory.mktemp("curves") / "packed.csv")
    return reference_packed(SHARED / "reference" / "seed_runs" / "basic_packed.csv")


@pytest.fixture(params=OWN_AND_REAL)
def gpt2(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What fabula takes for GPT-2's tokenizer during the test: a stand-in (tests/stand_in.py), or itself."""
    from tests.stand_in import gpt2_of

    with gpt2_of(request.param) as tokenizer:
        yield tokenizer


@pytest.fixture(scope="session")
def grammar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 stories of the built-in grammar, prepared once under a tokenizer of 512 tokens."""
    from fabula.data.prepare.preparation import prepare

    folder = tmp_path_factory.mktemp("grammar") / "stories"
    prepare("grammar", folder, tokenizer="bpe:512", limit=60)
    return folder
