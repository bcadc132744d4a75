"""Makes engine/kernels.wasm of engine/kernels.c: python -m fabula.exchange.html.build

Whoever exports needs no compiler: what it made is kept, and beside it of which source, by which compiler and how.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

from fabula.errors import InputError
from fabula.record.files import write_bytes, write_json

ENGINE = Path(__file__).with_name("engine")
SOURCE, KERNELS, ORIGIN = ENGINE / "kernels.c", ENGINE / "kernels.wasm", ENGINE / "kernels.json"
FLAGS = (
    "--target=wasm32", "-msimd128", "-std=c11", "-O2", "-ffreestanding", "-nostdlib", "-fno-math-errno", "-Wall",
    "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--export=__heap_base",
)  # fmt: skip
"""No -ffast-math: sums are made in the order in which they are written, so that every browser has the same ones."""


def build(out: Path) -> str:
    """Compile the kernels to `out`; which compiler it was. Raises InputError without one that can."""
    clang = shutil.which("clang")
    if clang is None or shutil.which("wasm-ld") is None:
        raise InputError("making kernels.wasm needs clang and wasm-ld; on Debian: apt-get install clang lld")
    made = subprocess.run([clang, *FLAGS, "-o", str(out), str(SOURCE)], capture_output=True, text=True)
    if made.returncode:
        raise InputError(f"clang failed: {made.stderr.strip()}")
    return compiler()


def compiler() -> str:
    """What clang says of itself; "" where there is none."""
    if shutil.which("clang") is None:
        return ""
    return subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def origin(compiled_by: str) -> dict[str, str]:
    """What is kept beside the kernels, so that a change of their source is found."""
    return {
        "source_sha256": hashlib.sha256(SOURCE.read_bytes()).hexdigest(),
        "sha256": hashlib.sha256(KERNELS.read_bytes()).hexdigest(),
        "compiler": compiled_by,
        "flags": " ".join(FLAGS),
    }


if __name__ == "__main__":
    unfinished = KERNELS.with_name("kernels.new")
    try:
        compiled_by = build(unfinished)
        write_bytes(KERNELS, unfinished.read_bytes())
    finally:
        unfinished.unlink(missing_ok=True)
    write_json(ORIGIN, origin(compiled_by))
