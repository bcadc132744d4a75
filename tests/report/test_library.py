"""What the system refuses the chart library is told as what it is: no panic of Rust reaches the user."""

import errno
import sys

import pytest
import vl_convert

from fabula.errors import InputError
from fabula.report.figures import library


class PanicException(BaseException):
    """As pyo3 names it."""


@pytest.mark.parametrize("says", ["called `Result::unwrap()` on an `Err` value: Os { code: 24, kind: Uncategorized }"])
def test_a_panic_at_a_limit_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    def panics(*_: object) -> str:
        raise PanicException(says)

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", panics)
    with pytest.raises(OSError) as told:
        library.svg_of({})
    assert told.value.errno == errno.EMFILE


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_a_limit_that_the_library_would_end_the_process_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 40 GB of addresses it was ended by SIGTRAP, which nobody can catch."""
    import resource

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda spec: "<svg/>")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (40 << 30, resource.RLIM_INFINITY))
    with pytest.raises(InputError, match=r"may have 42\.9 GB of addresses .*ulimit -v unlimited"):
        library.svg_of({})
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert library.svg_of({}) == "<svg/>"


def test_other_panics_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def panics(*_: object) -> str:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", panics)
    with pytest.raises(PanicException):
        library.svg_of({})


@pytest.mark.parametrize(
    "says",
    [
        "Failed to retrieve conversion result: oneshot canceled",
        "Failed to send SVG conversion request: send failed because receiver is gone",
    ],
)
def test_a_library_that_ended_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    def ended(*_: object) -> str:
        raise ValueError(says)

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", ended)
    with pytest.raises(InputError, match="ulimit -n"):
        library.svg_of({})
