"""A server that speaks OpenAI's chat completions and Anthropic's messages, and misbehaves as it is told."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MARKS = {"reason": "fine", "grammar": 7, "creativity": 6, "consistency": 8, "plot": 5, "age_group": "6-7"}
CHOICE = {"reason": "fine", "better": "first"}


@dataclass
class Said:
    """One reply of the server: what follows the request."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    """Never answers, until the test is over."""
    cut: bool = False
    """Closes the connection in the middle of the body."""


def chat(content: Any, finish: str = "stop", **message: Any) -> Said:
    fields = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": fields, "finish_reason": finish}
    return Said(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": {"prompt_tokens": 700, "completion_tokens": 50, "total_tokens": 750},
        }
    )


def messages(*content: dict[str, Any], stop: str = "tool_use") -> Said:
    return Said(
        {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": list(content),
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": 700, "output_tokens": 50},
        }
    )


def well(request: dict[str, Any]) -> Said:
    """A good answer to whatever is asked, in either tongue."""
    pair = "second continuation" in json.dumps(request["messages"])
    answer = CHOICE if pair else MARKS
    if "tools" in request:
        return messages({"type": "tool_use", "id": "t", "name": request["tools"][0]["name"], "input": answer})
    return chat(json.dumps(answer))


Rule = Callable[[int, dict[str, Any]], Said]
"""From the number of the request, counted from 0, and its body."""


@dataclass
class Server:
    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(rule: Rule) -> Iterator[Server]:
    lock, over = threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, which is faster

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(server.requests)
                server.requests.append(body)
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
            said = rule(number, body)
            if said.silent:
                over.wait(20)
                self.close_connection = True
                return
            content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"content-type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if said.cut:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        over.set()
        http.shutdown()
        thread.join()
        http.server_close()
