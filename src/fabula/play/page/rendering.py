"""One self-contained HTML text out of the page's parts and an engine."""

import base64
import hashlib
import html
from collections.abc import Mapping
from importlib import resources

PARTS = resources.files("fabula.play.page")
REPORT_STYLE = resources.files("fabula.report.render") / "templates" / "style.css"
SCRIPTS = (
    "words.js", "tokens.js", "looking.js", "settings.js", "story.js", "checkpoints.js", "keeping.js", "main.js",
)  # fmt: skip
"""In this order behind the engine, as one script: a file that is opened from a disk can import nothing."""


def script_of(name: str) -> str:
    return (PARTS / "script" / name).read_text(encoding="utf-8")


def render(
    engine_script: str,
    *,
    title: str,
    data: Mapping[str, str] | None = None,
    connect: bool = False,
    wasm: bool = False,
    worker: bool = False,
) -> str:
    """The page with `engine_script`, which defines `createEngine` (engine.md).

    `data`: texts by the id of the element that holds them. What the page may do stands in its content-security policy:
    `connect` lets it ask its own server, `wasm` compile WebAssembly, `worker` start workers from blobs; nothing else
    is fetched, and no other script runs.
    """
    data = data or {}
    assert not any("<" in text for text in data.values()), "text in a script element ends at the first tag"
    style = REPORT_STYLE.read_text(encoding="utf-8") + (PARTS / "play.css").read_text(encoding="utf-8")
    script = "\n".join(['"use strict";', engine_script, *map(script_of, SCRIPTS), "start();"])
    assert "</script" not in script.lower() and "<!--" not in script and "</style" not in style.lower()
    scripts = [_hash(script), *(["'wasm-unsafe-eval'"] if wasm else []), *(["blob:"] if worker else [])]
    policy = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": " ".join(scripts),
        "connect-src": "'self'" if connect else "'none'",
        "worker-src": "blob:" if worker else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    pieces = {
        "POLICY": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "TITLE": html.escape(title),
        "STYLE": style,
        "DATA": "\n".join(
            f'<script type="text/plain" id="{html.escape(name)}">{text}</script>' for name, text in data.items()
        ),
        "SCRIPT": script,
    }
    page = (PARTS / "page.html").read_text(encoding="utf-8")
    first, *rest = page.split("{{")  # in one pass: what is put in may hold anything
    return first + "".join(pieces[each.partition("}}")[0].strip()] + each.partition("}}")[2] for each in rest)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
