"""Where a measurement goes."""

import json
from pathlib import Path
from typing import Any


def write(document: dict[str, Any], out: Path | None) -> None:
    """As JSON, into `out` or, without one, onto the screen."""
    text = json.dumps(document, indent=1) + "\n"
    if out is None:
        print(text, end="")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
