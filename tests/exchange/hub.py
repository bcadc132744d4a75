"""A stand-in for the Hugging Face hub: the part of its HTTP interface that a push asks, on this machine."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_stand_in"


@dataclass
class Hub:
    """`repositories`: name -> {"private", "files"}; `broken`: beginning of paths -> their status, 0: no answer."""

    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    commits: int = 0
    url: str = ""

    def files(self, name: str) -> dict[str, bytes]:
        return dict(self.repositories[name]["files"])


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub, path = self.hub, self.path.partition("?")[0]
        hub.seen.append(f"{self.command} {path}")
        for start, status in hub.broken.items():
            if path.startswith(start):
                if not status:
                    self.close_connection = True  # the network goes away
                    self.connection.close()
                    return
                return self._json(status, {"error": "the stand-in is told to refuse this"})
        if not path.startswith("/blobs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid credentials"})
        parts = path.strip("/").split("/")
        body = (
            json.loads(content)
            if content[:1] in (b"{", b"[") and "commit" not in parts and self.command != "PUT"
            else {}
        )
        if path == "/api/whoami-v2":
            return self._json(200, {"name": "me", "type": "user", "orgs": []})
        if path == "/api/repos/create":
            name = f"{body.get('organization') or 'me'}/{body['name']}"
            if name.startswith("stranger/"):
                return self._json(403, {"error": "you may not"})
            taken = name in hub.repositories
            if not taken:
                hub.repositories[name] = {
                    "private": body.get("private") or body.get("visibility") == "private",
                    "files": {},
                }
            return self._json(409 if taken else 200, {"url": f"{hub.url}/{name}", "error": "You already created it"})
        if path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if path.startswith("/blobs/"):
            hub.blobs[parts[1]] = content
            return self._json(200, {})
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{hub.url}/blobs/{each['oid']}", "header": {}}}}
                for each in body["objects"]
            ]
            return self._json(200, {"transfer": "basic", "objects": objects})
        name, what = "/".join(parts[2:4]), parts[4:]
        repository = hub.repositories.get(name)
        if repository is None:
            return self._json(404, {"error": "Repository not found"})
        if not what:
            siblings = [{"rfilename": each} for each in repository["files"]]
            return self._json(200, {"id": name, "private": repository["private"], "siblings": siblings, "tags": []})
        if what[0] == "preupload":
            modes = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for each in body["files"]
            ]
            return self._json(200, {"files": modes})
        if what[0] == "settings":
            repository["private"] = body.get("private", body.get("visibility") == "private")
            return self._json(200, body)
        if what[0] == "commit":
            hub.commits += 1
            for line in map(json.loads, content.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    repository["files"][value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    blob = hub.blobs[value["oid"]]
                    assert hashlib.sha256(blob).hexdigest() == value["oid"]
                    repository["files"][value["path"]] = blob
            return self._json(200, {"success": True, "commitOid": "0" * 40, "commitUrl": f"{hub.url}/{name}/commit/0"})
        return self._json(404, {"error": f"the stand-in does not know {path}"})

    do_GET = do_POST = do_PUT = _answer

    def _json(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
