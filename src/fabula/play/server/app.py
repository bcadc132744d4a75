"""All that is answered, behind the door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from fabula.play.openai.routes import OpenAiApi
from fabula.play.page.rendering import render, script_of
from fabula.play.server.page_api import PageApi
from fabula.play.shelf import Shelf
from fabula.play.turns import Teller, threads_for
from fabula.serve.address import Address
from fabula.serve.door import Application, Door

POLICY = "frame-ancestors 'none'"
"""What a page cannot say of itself; the rest of its policy, with the hash of its script, stands in the page."""


def make_app(shelf: Shelf, address: Address, token: str = "") -> Application:
    """The page, what it asks, and OpenAI's two addresses."""
    page = render(script_of("server_engine.js"), title="Tell me a story", connect=True)
    teller = Teller(threads_for(max(each.parameters for each in shelf.models)))
    own, openai = PageApi(shelf, teller), OpenAiApi(shelf, teller)

    async def front(request: Request) -> Response:
        return HTMLResponse(page)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        teller.close()

    routes = [
        Route("/", front),
        Route("/models", own.models),
        Route("/stories", own.story, methods=["POST"]),
        Route("/v1/models", openai.models),
        Route("/v1/completions", openai.completions, methods=["POST"]),
        Route("/v1/{rest:path}", openai.unknown, methods=["GET", "POST"]),
    ]
    return Door(Starlette(routes=routes, lifespan=life), address, POLICY, token)
