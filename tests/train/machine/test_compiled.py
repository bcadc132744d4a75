"""What happens before a step is compiled, and beside it; what a training that compiles nothing does not wait for."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.codecache as codecache
import torch._inductor.config as kernel_settings
from tests.train.tiny import data_in, tiny

from fabula.model.kernels.constant import constant
from fabula.train import engine as engines
from fabula.train.engine import BRIEF, THOROUGH, Engine, Probe, build_engine, warm_up
from fabula.train.life import run
from fabula.train.life.layout import source_of
from fabula.train.life.run import set_up_training
from fabula.train.machine import compiled
from fabula.train.machine.choice import Choice
from fabula.train.observer import Observer

LOADED = """
import sys
import fabula.model.load, fabula.train.engine
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.long
@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this torch is for GPUs, whose attention loads the compiler")
def test_a_model_is_there_without_the_compiler() -> None:
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"


def test_the_mark_of_what_is_constant_is_that_of_torch() -> None:
    def ours() -> None: ...

    def theirs() -> None: ...

    assert vars(constant(ours)) == vars(torch.compiler.assume_constant_result(theirs)) != {}


def test_without_openssl_no_header_is_compiled_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/usr/bin/openssl", None):
        monkeypatch.setattr(shutil, "which", lambda name, program=program: program)
        with kernel_settings.patch({compiled.PRECOMPILE: True}):
            compiled.do_without_openssl()
            assert getattr(kernel_settings, compiled.PRECOMPILE) is (program is not None)
    assert getattr(kernel_settings, compiled.PRECOMPILE) is True


@pytest.mark.parametrize("error", [None, OSError("no compiler"), RuntimeError("it failed"), TypeError("called so")])
def test_the_first_kernel_is_made_on_a_thread_and_its_failure_told_by_nobody(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    made: list[tuple[str, str]] = []

    def load(types: list[str], source: str) -> None:
        made.append((threading.current_thread().name, source))
        if error is not None:
            raise error

    monkeypatch.setattr(codecache.CppPythonBindingsCodeCache, "load_pybinding", load)
    compiled.make_first_kernel()
    for thread in threading.enumerate():
        if thread.name == compiled.FIRST_KERNEL:
            thread.join()
    assert made == [(compiled.FIRST_KERNEL, compiled.SMALLEST_KERNEL)]
    assert not recwarn.list, "pytest warns of what a thread raised"


@pytest.mark.slow
def test_what_the_first_kernel_found_the_next_one_need_not_look_for() -> None:
    load = codecache.CppPythonBindingsCodeCache.load_pybinding
    load(["float*"], compiled.SMALLEST_KERNEL)
    before = codecache._precompile_header.cache_info().misses
    load(["float*", "float*"], compiled.SMALLEST_KERNEL.replace("float* out", "float* in, float* out"))
    assert codecache._precompile_header.cache_info().misses == before


@pytest.mark.parametrize("evaluates", [True, False])
def test_only_what_evaluates_compiles_the_evaluation(
    evaluates: bool, grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, scored = data_in(grammar_folder), list[Engine]()
    monkeypatch.setattr(engines, "_compile_scoring", scored.append)
    recipe = tiny(model__vocabulary=data.tokenizer.vocabulary, compute__compile="off")
    engine = build_engine(recipe, recipe.vocabulary, 0)
    engine.choices["compile"] = Choice("on", "so it is said")
    warm_up(engine, source_of(recipe, data, 0), lambda text: None, Probe(1, 1, 0.0), evaluates)
    assert scored == ([engine] if evaluates else []) and engine.step_seconds > 0


def test_a_step_is_timed_at_length_only_where_a_number_of_steps_depends_on_it(
    grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Probe] = []

    def warmed(engine: Engine, source: Any, notice: Callable[[str], None], measure: Probe) -> None:
        asked.append(measure)
        engine.step_seconds = 0.01

    monkeypatch.setattr(run, "warm_up", warmed)
    for minutes in (None, 1.0):
        set_up_training(tiny(), data_in(grammar_folder), 0, Observer(), minutes)
    assert asked == [BRIEF, THOROUGH]
