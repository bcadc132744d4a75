"""C beside Python is compiled once and kept safely, and where it cannot be had, the reason is told."""

import os
from pathlib import Path

import pytest

from fabula.model.kernels.build import Native, load_native

load = load_native.__wrapped__  # what this process has loaded already is not asked


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a source file may be written; libraries are kept beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FABULA_NATIVE", raising=False)
    return tmp_path / "answer.c"


def skip_without_compiler(source: Path) -> None:
    source.write_text("int answer(void) { return 41; }")
    native = load(source)
    if native.library is None:
        pytest.skip(native.reason)


def test_a_library_is_kept_where_only_the_user_may_write(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_compiler(source)
    (kept,) = (tmp_path / "cache" / "fabula").iterdir()
    before = kept.stat().st_mtime_ns
    library = load(source).library
    assert library is not None and library.answer() == 41 and kept.stat().st_mtime_ns == before
    source.write_text("int answer(void) { return 43; }")
    library = load(source).library
    assert library is not None and library.answer() == 43

    shared = tmp_path / "shared" / "fabula"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert load(source).library is not None and not list(shared.iterdir())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(source).library is not None


def test_a_source_that_does_not_compile_has_a_reason(source: Path) -> None:
    skip_without_compiler(source)
    source.write_text("this is no C")
    native = load(source)
    assert native.library is None and "failed: " in native.reason and "\n" not in native.reason
    source.write_text("#error this processor is too old\n#include <missing.h>")
    assert load(source).reason.endswith(" failed: this processor is too old")


def test_without_a_compiler_or_told_to_go_without_there_is_a_reason(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write_text("int answer(void) { return 42; }")
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CC", raising=False)
    assert load(source) == Native(None, "no C compiler was found")
    monkeypatch.setenv("FABULA_NATIVE", "off")
    assert load(source) == Native(None, "FABULA_NATIVE=off")
