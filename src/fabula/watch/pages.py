"""The page and its stream of changes, as a web application."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import fabula
from fabula.report.live.parts import Parts
from fabula.report.render.page import chart_program, environment, template
from fabula.watch.pace import PULSE_SECONDS, step_aside
from fabula.watch.watcher import Watcher

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts are our own files and nothing else. The chart library compiles the expressions of its specifications, which
are ours as well, and draws with styles in attributes."""
IDLE_SECONDS = 5.0
"""Between two looks while no page is open."""
HEARTBEAT_SECONDS = 15.0
"""A line that says nothing, so that a connection that is gone is noticed."""
MOST_STREAMS = 50
"""Pages that are open at once; each is sent what changes."""


FILES = {
    "style.css": "text/css",
    **dict.fromkeys(("page.js", "charts.js", "figures.js", "live.js"), "text/javascript"),
}


class Live:
    """A watcher in a thread of its own, and the pages that are open."""

    def __init__(
        self, watcher: Watcher, after: Callable[[], None] | None = None, linger_seconds: float | None = None
    ) -> None:
        """`after` is called in the thread after each look, and there are looks also while no page is open.
        `linger_seconds`: once nobody writes the runs, and no page was open for so long, `ended` is set."""
        self.watcher = watcher
        self.ended = threading.Event()
        self._after = after
        self._linger_seconds = linger_seconds
        self._looked_at = time.monotonic()
        self._wake = threading.Event()
        self._has_program = threading.Event()
        self._stopped = False
        self._streams: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def life(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped = True
            self._wake.set()

    def file(self, name: str) -> str:
        """The text of one of FILES."""
        if name == "style.css":
            return template("style.css") + template("live.css")
        if name != "charts.js":
            return template(name)
        self._has_program.wait()  # made once, by the thread
        return chart_program()

    @property
    def num_streams(self) -> int:
        return len(self._streams)

    def _follow(self) -> None:
        try:
            self._look_again_and_again()
        finally:
            self.ended.set()  # a page that follows nothing any more does not stay

    def _look_again_and_again(self) -> None:
        # Somebody waits for the program of the charts and for the first page: seconds of processor time, once.
        chart_program()
        self._has_program.set()
        self._look()
        step_aside()
        while not self._stopped:
            self._wake.wait(PULSE_SECONDS if self._streams else IDLE_SECONDS)
            self._wake.clear()
            self._end_in_time()
            self._look()

    def _look(self) -> None:
        if self._streams or self._after or self.watcher.parts is None or self._may_end:
            if self.watcher.look():
                self._tell_streams()
            if self._after is not None:
                self._after()

    @property
    def _may_end(self) -> bool:
        """Then it is read also while no page is open: only a reading tells that all has ended."""
        return self._linger_seconds is not None and self.watcher.is_left

    def _end_in_time(self) -> None:
        now = time.monotonic()
        if self._streams or self._linger_seconds is None or not self.watcher.is_over:
            self._looked_at = now
        elif not any(path.exists() for path in self.watcher.paths) or now - self._looked_at > self._linger_seconds:
            self.ended.set()

    def _tell_streams(self) -> None:
        assert self._loop is not None, "the thread is started by the loop"
        for each in tuple(self._streams):
            self._loop.call_soon_threadsafe(each.set)

    async def changes(self) -> AsyncIterator[str]:
        """What a page that shows nothing yet has to be sent, whenever there is something; each piece once."""
        changed = asyncio.Event()
        self._streams.add(changed)
        self._wake.set()
        sent: dict[str, dict[str, str]] = {"html": {}, "curves": {}, "specs": {}}
        try:
            while True:
                if (parts := self.watcher.parts) is not None:
                    changed.clear()
                    yield f"data: {message(parts, sent)}\n\n"
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ":\n\n"
        finally:
            self._streams.discard(changed)


def message(parts: Parts, sent: dict[str, dict[str, str]]) -> str:
    """The parts that differ from those that were `sent`, which it brings up to date. One line of JSON."""
    new = {
        kind: {name: text for name, text in getattr(parts, kind).items() if sent[kind].get(name) != text}
        for kind in sent
    }
    for kind in sent:
        sent[kind] = dict(getattr(parts, kind))
    data = ",".join(f'"{kind}":{{{",".join(f"{json.dumps(name)}:{text}" for name, text in new[kind].items())}}}'
                    for kind in ("curves", "specs"))  # fmt: skip
    rest = json.dumps(
        {
            "title": parts.title,
            "order": [f"part-{name}" for name in parts.html],
            "html": {f"part-{name}": text for name, text in new["html"].items()},
        }
    )
    return f"{rest[:-1]},{data}}}"


def application(live: Live) -> Starlette:
    async def page(request: Request) -> Response:
        parts = live.watcher.parts
        title, html = (parts.title, parts.html) if parts is not None else ("reading", {})
        shown = environment().get_template("live.html.jinja").render(title=title, html=html, version=fabula.__version__)
        return HTMLResponse(shown)

    async def events(request: Request) -> Response:
        if live.num_streams >= MOST_STREAMS:
            return PlainTextResponse("too many pages are open\n", 503, headers={"retry-after": "30"})
        return StreamingResponse(live.changes(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return PlainTextResponse("there is no such page\n", 404)
        text = await asyncio.to_thread(live.file, name)
        return Response(text, media_type=FILES[name], headers={"cache-control": "no-cache"})

    return Starlette(routes=[Route("/", page), Route("/events", events), Route("/{name}", file)], lifespan=live.life)
