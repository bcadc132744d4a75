"""The scripts of the page's engine in node: one process, asked one question after the other."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fabula.exchange.html.build import KERNELS
from fabula.exchange.html.packing import pack_model
from fabula.exchange.html.payload import WORKER_SCRIPTS, script
from fabula.model.decoder import Decoder

NODE = shutil.which("node")
if NODE is None:  # a whole file at once: what is skipped is counted
    pytest.skip("node is absent (Debian: apt install nodejs)", allow_module_level=True)

HARNESS = """
const bytesFrom = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
const kernels = new WebAssembly.Module(require("fs").readFileSync(KERNELS));
const decoderOf = (model) =>
  Decoder.load(new WebAssembly.Instance(kernels).exports, model.header, [bytesFrom(model.content)]);
async function toldBy(teller, request) {
  const events = [];
  const usual = { text: "", ids: null, told: 0, drawn: 0, maxTokens: 40, alternatives: 0, seed: 0 };
  const rules = { temperature: 0, topP: 1, topK: 0, minP: 0 };
  for await (const event of teller.tell({ ...usual, ...rules, ...request }, async () => {})) events.push(event);
  return events;
}
async function answer(line) {
  const { question, given } = JSON.parse(line);
  try {
    const value = await eval(`(async (given) => { ${question} })`)(given);
    console.log(JSON.stringify({ value }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
(async () => {
  for await (const line of require("readline").createInterface({ input: process.stdin })) await answer(line);
})();
"""


class Node:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, question: str, given: Any = None) -> Any:
        """What the body of a function of `given` returns beside the engine's scripts; its error as a ValueError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"question": question, "given": given}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer.get("value")


@contextmanager
def node_at(folder: Path) -> Iterator[Node]:
    scripts = [each for each in WORKER_SCRIPTS if each != "worker"]  # which waits for a page's messages
    program = folder / "engine.js"
    program.write_text(f"const KERNELS = {json.dumps(str(KERNELS))};\n{script(scripts)}\n{HARNESS}")
    assert NODE is not None
    process = subprocess.Popen([NODE, str(program)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            yield Node(process)
        finally:
            process.kill()


def as_given(model: Decoder, end_of_text: bool = True) -> dict[str, Any]:
    packed = pack_model(model, end_of_text)
    return {"header": packed.header, "content": base64.b64encode(packed.content).decode()}
