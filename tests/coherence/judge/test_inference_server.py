"""Real inference servers, each with a model that fabula exported.

`transformers serve` needs `pip install 'transformers[serving]'`, three small packages, and takes half a minute; it
ignores the schema, so what an untrained model says is malformed, and counted. llama.cpp's own server, from the prebuilt
xllamacpp, constrains its output: there a model that learned for seconds cannot but give marks.
"""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.exchange.test_huggingface import run_of
from tests.model.shapes import LLAMA

import fabula
from fabula.coherence.judge.asking import Budget, Reply, Settings, ask_all
from fabula.coherence.judge.clients import client_of, openai_compatible
from fabula.coherence.judge.rubric import Marks, Preference
from fabula.coherence.judge.told import Question, Told
from fabula.coherence.judge.which import judge_of
from fabula.exchange.llama_cpp import export_gguf
from fabula.recipe.presets.by_name import load_recipe

SHAPE = LLAMA.model_copy(update={"context": 8192})  # a byte is a token here, and a request has some thousand
LEARNING = {
    "tokenizer": "bpe:512", "steps": 30, "model.layers": 1, "model.width": 32, "model.heads": 2, "model.context": 2048,
    "batch.rows": 1, "batch.accumulation": 1, "schedule.peak": 0.02, "schedule.floor": 0.002, "schedule.warmup": 5,
    "compute.compile": "off", "evaluation.every": 30, "evaluation.sample_tokens": 0,
}  # fmt: skip
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
            if process.poll() == -signal.SIGILL:
                pytest.skip("the compiled server has instructions that this processor lacks")
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


@pytest.mark.slow
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


SERVE = """
import sys, time, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.port, parameters.n_ctx = sys.argv[1], int(sys.argv[3]), 2048
server = xllamacpp.Server(parameters)
time.sleep(600)
"""


@pytest.fixture
def model_of_seconds(tmp_path: Path) -> Path:
    """A Llama in a GGUF file. It learned that stories are ASCII: bytes that are no UTF-8 fit the schema, and llama.cpp
    says 500 to its own answer then."""
    recipe = load_recipe("llama-nano").with_values(**LEARNING)
    fabula.prepare("builtin", tmp_path / "data", tokenizer=recipe.tokenizer, limit=600)
    fabula.train(recipe, data=tmp_path / "data", out=tmp_path / "run")
    export_gguf(tmp_path / "run", tmp_path / "out")
    return tmp_path / "out" / "model.gguf"


@pytest.mark.long
@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs pip install xllamacpp")
def test_llama_cpp_constrains_its_answers(model_of_seconds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of a few thousand parameters would answer in JSON by itself: every answer is typed."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    port = free_port()
    with served([sys.executable, "-c", SERVE, str(model_of_seconds)], port, "/health"):
        replies = asked(port, "exported")
    answers = [reply.answer for reply in replies.values()]
    assert [type(answer) for answer in answers] == [Marks, Marks, Preference], replies
    assert all(reply.tokens_in > 400 for reply in replies.values())
