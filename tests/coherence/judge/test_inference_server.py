"""Real inference servers, each with a model that fabula exported. Slow, and skipped where they are not installed.

`transformers serve` needs `pip install 'transformers[serving]'`, three small packages, and takes half a minute; it
ignores the schema, so what an untrained model says is malformed, and counted. llama.cpp's server constrains its output:
name a Python that has `pip install 'llama-cpp-python[server]'` (compiled, a quarter of an hour) in LLAMA_CPP_PYTHON.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.exchange.test_huggingface import run_of
from tests.exchange.test_llama_cpp import run_with_merges
from tests.model.shapes import LLAMA

from fabula.coherence.judge.asking import Budget, Reply, Settings, ask_all
from fabula.coherence.judge.clients import client_of, openai_compatible
from fabula.coherence.judge.rubric import Marks, Preference
from fabula.coherence.judge.told import Question, Told
from fabula.coherence.judge.which import judge_of

pytestmark = pytest.mark.slow
SHAPE = LLAMA.model_copy(update={"context": 8192})  # a byte is a token here, and a request has some thousand
FIRST, SECOND = (
    Told(f"s/0/{n}", "s/0", "Tom had a dog.", f"It ran {word}.") for n, word in enumerate(("home", "away"))
)
QUESTIONS = [Question("completion", FIRST), Question("completion", SECOND), Question("against", FIRST, SECOND)]
PLAIN = "{% for message in messages %}{{ message.content }}\n{% endfor %}"


@contextmanager
def served(command: list[str], port: int, ready: str) -> Iterator[None]:
    """A server of its own until the block is over."""
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def asked(port: int, model: str) -> dict[Question, Reply]:
    replies: dict[Question, Reply] = {}
    settings = Settings(timeout=240.0, tries=1, at_once=1)
    client = client_of(judge_of(f"openai:{model}", f"http://127.0.0.1:{port}"), settings.timeout)
    asyncio.run(ask_all(QUESTIONS, client, settings, Budget(None, lambda *_: None), replies.__setitem__))
    return replies


@pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None or shutil.which("transformers") is None,
    reason="needs pip install 'transformers[serving]'",
)
def test_transformers_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fabula.exchange.huggingface import export_hf  # heavy: transformers

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(openai_compatible, "LONGEST_ANSWER", 60)  # it would go on to the last token
    out = tmp_path / "out"
    export_hf(run_of(SHAPE, tmp_path), out)
    (out / "chat_template.jinja").write_text(PLAIN)
    port = free_port()
    with served(["transformers", "serve", str(out), "--device", "cpu"], port, "/health"):
        replies = asked(port, str(out))
    assert [reply.failure for reply in replies.values()] == ["malformed"] * 3
    assert all(reply.tokens_in > 1000 and reply.tokens_out > 10 for reply in replies.values())


@pytest.mark.skipif(
    "LLAMA_CPP_PYTHON" not in os.environ, reason="LLAMA_CPP_PYTHON names no Python with llama.cpp's server"
)
def test_llama_cpp_constrains_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model cannot but answer in the schema: every answer is typed."""
    from fabula.exchange.llama_cpp import export_gguf  # heavy: gguf

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    export_gguf(run_with_merges(SHAPE, tmp_path), tmp_path / "out")
    port = free_port()
    command = [
        os.environ["LLAMA_CPP_PYTHON"],
        "-m",
        "llama_cpp.server",
        "--model",
        str(tmp_path / "out" / "model.gguf"),
    ]
    with served([*command, "--n_ctx", "8192", "--host", "127.0.0.1"], port, "/v1/models"):
        replies = asked(port, "exported")
    answers = [reply.answer for reply in replies.values()]
    assert [type(answer) for answer in answers] == [Marks, Marks, Preference], replies
    assert all(reply.tokens_in > 1000 for reply in replies.values())
