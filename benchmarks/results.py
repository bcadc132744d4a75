"""What a measurement is told with, and where it goes."""

import json
from pathlib import Path
from typing import Any


def write(document: dict[str, Any], out: Path | None) -> None:
    """As JSON, into `out` or, without one, onto the screen."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")


def versions_of_peers(llama_cpp: Path | None) -> dict[str, str]:
    """Of torch, transformers, and the llama.cpp bindings that are installed in `llama_cpp`."""
    import torch
    import transformers

    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    if llama_cpp is not None:
        package = llama_cpp / "node_modules" / "node-llama-cpp" / "package.json"
        versions["node-llama-cpp"] = json.loads(package.read_text(encoding="utf-8"))["version"]
    return versions
