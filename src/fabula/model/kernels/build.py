"""C beside Python: source files of one folder, compiled for this very processor by the C compiler that is found.

Compiling takes about a second and happens once: the library is kept in the user's own cache folder, under a name made
from all that it depends on. Without a compiler, or where its library does not load, there is none, with the reason.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fwrapv", "-fopenmp-simd")
"""No -ffast-math: what is not finite has to stay visible, and sums may be reordered only where the source says so."""
THREADS = "-fopenmp"
"""Finds its runtime by name in the process, where torch has loaded it: both then share one pool of threads."""


@dataclass(frozen=True)
class Native:
    """A loaded library, or None; and why."""

    library: ctypes.CDLL | None
    reason: str


@cache
def load_native(*sources: Path, threads: bool = False) -> Native:
    """The functions of C files of one folder, which may use several threads. Set FABULA_NATIVE=off to go without."""
    if os.environ.get("FABULA_NATIVE") == "off":
        return Native(None, "FABULA_NATIVE=off")
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))), None)
    if compiler is None:
        return Native(None, "no C compiler was found")
    try:
        library = _kept(sources, compiler, (*FLAGS, THREADS) if threads else FLAGS)
    except subprocess.CalledProcessError as error:
        return Native(None, f"{compiler} failed: {_first_error(error.stderr)}")
    except OSError as error:
        return Native(None, f"{error}")
    return Native(library, f"compiled by {compiler}")


def _first_error(messages: str) -> str:
    """What the compiler, or an #error of ours, calls the matter, without the lines that lead there."""
    lines = messages.strip().splitlines() or ["no message"]
    error = next((line.partition("error:")[2].strip() for line in lines if "error:" in line), lines[0])
    return error.removeprefix("#error ")


def _kept(sources: tuple[Path, ...], compiler: str, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Load the library from the user's cache, compiled first where it is not there."""
    headers = sorted(sources[0].parent.glob("*.h"))
    texts = [file.read_text(encoding="utf-8") for file in (*sources, *headers)]
    depends_on = "\n".join((*texts, *flags, compiler, platform.platform(), processor()))
    name = f"{sources[0].stem}-{hashlib.sha256(depends_on.encode()).hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fabula"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK) and _is_mine(folder)
    except OSError:
        usable = False
    if usable and (folder / name).is_file():
        return ctypes.CDLL(str(folder / name))
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / name
        command = [compiler, *flags, "-shared", "-fPIC", "-o", str(built), *map(str, sources), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        library = ctypes.CDLL(str(built))  # it stays loaded when its file has gone
        if usable:
            partial = folder / f"{name}.{os.getpid()}"
            shutil.copyfile(built, partial)
            partial.replace(folder / name)
    return library


def _is_mine(folder: Path) -> bool:
    """Whether nobody else can put a library here."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def processor() -> str:
    """What -march=native looks at, as far as the system tells: a cache folder may be shared by several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
