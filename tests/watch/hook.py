"""A chat's incoming hook on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """What was posted, in order. `answers`: the status codes of the next answers; 200 after them. `slow`: waited for
    before each answer."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.slow = threading.Event()
        self.slow.set()
        self.url = ""


@contextmanager
def hook() -> Iterator[Hook]:
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.slow.wait(60)
            status = told.answers.pop(0) if told.answers else 200
            (told.bodies if status == 200 else told.refused).append(body)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", told.url)
            self.end_headers()
            self.wfile.write(b"ok")

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"sign in here")

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/secret-path"
    try:
        yield told
    finally:
        told.slow.set()
        server.shutdown()
        server.server_close()
        thread.join()
