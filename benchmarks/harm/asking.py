"""A command in this process, with what it may take: no traceback, ten seconds, a gigabyte."""

import contextlib
import io
import signal
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fabula.cli import run
from fabula.errors import InputError
from fabula.record.wording import inert

MOST_SECONDS = 10.0
MOST_BYTES = 1 << 30
STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Hangs(BaseException):
    """Ten seconds are over. No Exception: nothing may take it for a failure of its own."""


@dataclass(frozen=True)
class Answer:
    code: int
    said: str
    seconds: float
    """Of the processor: the machine may have other things to do."""
    peak: int
    """Bytes that the command took at its most, beyond what the process held; 0 where the system does not tell."""
    failure: str = ""
    """What must not be: the last lines of a traceback, a hang, too much memory, a refusal in several lines."""


def ask(arguments: Sequence[str]) -> Answer:
    return watched(lambda: run(list(arguments)))


def watched(do: Callable[[], int]) -> Answer:
    """`do` returns an exit code; an InputError that it raises is the refusal that the command line would print."""
    out, err = io.StringIO(), io.StringIO()
    code, failure = -1, ""
    _forget_peak()
    held = _peak()  # by what this process did before
    began = time.process_time()
    try:
        with _alarm(), warnings.catch_warnings(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            warnings.simplefilter("error")  # a line of Python's own on the terminal is no answer
            code = do()
    except InputError as error:
        code = 2
        err.write(f"fabula: {inert(' '.join(str(error).split()))}\n")
    except Hangs as error:
        failure = f"hangs {_where(error)}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        failure = f"{type(error).__name__} {_where(error)}: {str(error)[:120]}"
    seconds, peak, said = time.process_time() - began, _peak() - held, out.getvalue() + err.getvalue()
    failure = failure or _wrong(code, said, err.getvalue(), seconds, peak)
    return Answer(code, said, seconds, peak, failure)


def _where(error: BaseException) -> str:
    """The innermost place of ours."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "/fabula/" in frame.filename]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else ""


def _wrong(code: int, said: str, err: str, seconds: float, peak: int) -> str:
    if seconds > MOST_SECONDS:
        return "hangs"
    if peak > MOST_BYTES:
        return "takes more than a gigabyte"
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if code == 2 and err.rstrip("\n").count("\n"):
        return f"a refusal in several lines: {err[:200]!r}"
    if code == 2 and "out of memory" in err:
        return "takes more memory than there is"
    if any(unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\t" for each in said):
        return f"steers the terminal: {err[:200]!r}"
    return ""


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, 1.5 * MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        REFERENCES.write_text("5")  # proc(5): the peak of the resident memory begins anew


def _peak() -> int:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
