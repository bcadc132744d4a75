"""`export --to html`: one to four models, and the page of `fabula play` for them, as one file."""

import re
from collections.abc import Sequence
from itertools import count
from math import ceil
from pathlib import Path

from fabula.cli.named.several_models import names_of
from fabula.errors import InputError
from fabula.exchange.html.as_text import page_bytes
from fabula.exchange.html.offering import offer
from fabula.exchange.html.payload import Offered, payload_of
from fabula.play.page.rendering import render
from fabula.record.files import make_folder, write_bytes
from fabula.record.lock import only_writer

LARGEST_TOGETHER = 50_000_000
"""Bytes of a file with several models: the limit that was asked for them; one alone may be larger."""


def write_html(places: Sequence[tuple[Path, int | None]], out: Path | None) -> tuple[Path, list[Offered]]:
    """Write the models of `places` (run and step; None: the latest) as one page: its file, and what it offers.

    Whole or not at all, and never over a file. Raises InputError for that, for too many or too large models, and for
    one that a page cannot hold.
    """
    names = names_of(places)
    out = out or Path("exported") / _file_name(names)
    _refuse_existing(out)
    models = [offer(run, name, step) for name, (run, step) in zip(names, places, strict=True)]
    page = page_of(models)
    if len(models) > 1 and len(page) > LARGEST_TOGETHER:
        raise InputError(
            f"together these {len(models)} models take {ceil(len(page) / 1e6):,} MB, more than the "
            f"{LARGEST_TOGETHER / 1e6:.0f} MB that several in one file may take; export fewer together"
        )
    make_folder(out.parent)
    with only_writer(out):
        _refuse_existing(out)
        write_bytes(out, page)
    return out, models


def page_of(models: Sequence[Offered]) -> bytes:
    """The file's content."""
    payload = payload_of(models)
    title = " and ".join(each.shown["name"] for each in models)
    return page_bytes(render(payload.engine_script, title=title, data=payload.data, wasm=True, worker=True))


def _file_name(names: Sequence[str]) -> str:
    """Of what is in it, as far as a name of a file has room and other systems have the letters."""
    whole = " and ".join(names)
    name = whole if len(names) == 1 or len(whole) < 80 else f"{names[0]} and {len(names) - 1} more"
    return re.sub(r"[^\w.@-]+", "-", name) + ".html"


def _refuse_existing(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out} is to be opened by browsers, which know a page by its name; end it with .html")
    if out.exists():
        others = (out.with_name(f"{out.stem}-{number}{out.suffix}") for number in count(2))
        free = next(each for each in others if not each.exists())
        raise InputError(f"{out} already exists; choose another --out, such as {free}")
