"""What `fabula export --to html` comes to in a browser: size, loading, speed, memory, and what 8-bit weights cost.

python benchmarks/html_export.py RUN|RECIPE ... --stories validation.jsonl --out docs/measured/html_export.json

A recipe's name stands for a run of its shape with random weights; of those no loss is told. Each file is opened from
the disk in a Chromium that has no network, and everything is asked of the engine that the page itself has: the greedy
tokens, which must be those of the int8 model in torch; the time until the engine is ready, counted from the opening of
the file, and from the asking until the first token; tokens a second, with eight alternatives each, as the page asks for
them; and the memory of the page's process, cleaned up, after the first story and after the last. The loss is that of
the first stories of a file, each a row by itself, with float32 and with int8 weights. To be run on a machine that does
nothing else.
"""

import argparse
import base64
import gzip
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from decoding import random_run
from playwright.sync_api import sync_playwright
from results import write

from fabula.cli.html_file import page_of
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.exchange.html.as_text import as_text
from fabula.exchange.html.offering import offer
from fabula.exchange.html.payload import Offered
from fabula.exchange.html.quantization import int8_decoder
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.model.load import load_model

CHROMIUM = "/usr/bin/chromium"
PROMPTS = ("Once upon a time", "A pirate ship sailed", "The kingdom was at war, and a brave knight")
GREEDY_TOKENS, STORY_TOKENS = 64, 200

EXPOSED = """
const createEngine = async (progress) => {
  const engine = await ownEngine(progress);
  const ready = performance.now();
  window.told = async (request) => {
    const began = performance.now();
    const usual = { model: "0", step: null, text: "", ids: null, told: 0, drawn: 0, topK: 0, minP: 0, alternatives: 8 };
    const [ids, times] = [[], []];
    for await (const event of engine.generate({ ...usual, ...request }, new AbortController().signal))
      if (event.kind === "token") { ids.push(event.id); times.push(performance.now() - began); }
    return { ids, times, ready };
  };
  return engine;
};
"""


class Browser:
    """Chromium without network, and one page in it."""

    def __init__(self, playwright: Any, file: Path) -> None:
        self._browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = self._browser.new_context(offline=True).new_page()
        page.goto(file.as_uri())
        page.evaluate("async () => { while (!window.told) await new Promise((resolve) => setTimeout(resolve, 5)); }")
        self._page = page

    def tell(self, **request: Any) -> dict[str, Any]:
        return self._page.evaluate("(request) => told(request)", request)

    def megabytes(self) -> float:
        """Of the page's process, after its rubbish has been collected."""
        self._page.context.new_cdp_session(self._page).send("HeapProfiler.collectGarbage")
        processes = self._browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        sizes = [_resident(each["id"]) for each in processes if each["type"] == "renderer"]
        return max(sizes)

    def close(self) -> None:
        self._browser.close()


def _resident(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def measured(run: Path, folder: Path, num_stories: int) -> dict[str, Any]:
    model, recipe, tokenizer = load_model(run)
    offered = offer(run, recipe.name)
    file = folder / "page.html"
    content = page_of([offered])
    size = len(content)
    # The page keeps its engine to itself: here it is asked directly.
    inner = content.decode("utf-16").replace("const createEngine = (() =>", "const ownEngine = (() =>", 1)
    script = inner.replace("return createEngine;\n})();\n", "return createEngine;\n})();\n" + EXPOSED, 1)
    file.write_bytes(_with_policy(script).encode("utf-16"))
    parameters = offered.shown["parameters"]
    with sync_playwright() as playwright:
        browser = Browser(playwright, file)
        greedy = [browser.tell(text=each, maxTokens=GREEDY_TOKENS, temperature=0, topP=1, seed=0) for each in PROMPTS]
        draw = {"text": "Once upon a time", "maxTokens": STORY_TOKENS, "temperature": 0.8, "topP": 0.95}
        told = [browser.tell(seed=0, **draw)]
        first = browser.megabytes()
        told += [browser.tell(seed=seed, **draw) for seed in range(1, num_stories)]
        last = browser.megabytes()
        browser.close()
    reference = int8_decoder(model)
    speeds = [(len(each["times"]) - 1) / (each["times"][-1] - each["times"][0]) * 1e3 for each in told[1:]]
    return {
        "recipe": recipe.name,
        "step": offered.shown["step"],
        "parameters": parameters,
        "megabytes": size / 1e6,
        "bytes_per_parameter": size / parameters,
        "same_greedy_tokens": sum(
            each["ids"] == _greedy(reference, tokenizer, prompt) for each, prompt in zip(greedy, PROMPTS, strict=True)
        ),
        "prompts": len(PROMPTS),
        "ready_ms": greedy[0]["ready"],
        "first_token_ms": greedy[0]["times"][0],
        "tokens_per_second": statistics.median(speeds),
        "quartiles_of_that": statistics.quantiles(speeds, n=4)[::2],
        "stories": num_stories,
        "load": os.getloadavg()[0],
        "cores": len(os.sched_getaffinity(0)),
        "process_megabytes": {"after the first": first, "after the last": last},
        "weights_as_text": _as_texts(offered),
    }


def _with_policy(page: str) -> str:
    """The script was changed, so that its hash is another one; evaluating is what the browser is driven by."""
    before, _, rest = page.partition('content="default-src')
    policy, _, after = rest.partition('"')
    parts = [each for each in f"default-src{policy}".split("; ") if not each.startswith("script-src")]
    parts.append("script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:")
    return f'{before}content="{"; ".join(parts)}"{after}'


def _greedy(model: Decoder, tokenizer: Tokenizer, prompt: str) -> list[int]:
    ids = [tokenizer.eot, *tokenizer.encode(prompt).tolist()]
    return complete(model, [ids], num_tokens=GREEDY_TOKENS, eot=tokenizer.eot, temperature=0, seed=0)[0]


def _as_texts(offered: Offered) -> dict[str, float]:
    """Bytes in the file for each byte of the weights, by the ways to write them."""
    content = offered.packed.content
    packed = gzip.compress(content, 9, mtime=0)
    sizes = {
        "base64": len(base64.b64encode(content)),
        "compressed, base64": len(base64.b64encode(packed)),
        "compressed, UTF-16": 2 * len(as_text(content)),
    }
    return {name: each / len(content) for name, each in sizes.items()}


def losses(run: Path, texts: list[str]) -> dict[str, float]:
    """Nats a token over `texts`, each a row of its own, cut at the context."""
    model, _, tokenizer = load_model(run)
    rows = [[tokenizer.eot, *each.tolist(), tokenizer.eot] for each in tokenizer.encode_batch(texts)]
    rows = [row[: model.shape.context + 1] for row in rows]
    found = {"stories": float(len(rows))}
    for name, each in {"float32": model, "int8": int8_decoder(model)}.items():
        with torch.inference_mode():
            nats = sum(float(_nats(each, row)) for row in rows)
        found[name] = nats / sum(len(row) - 1 for row in rows)
    return found


def _nats(model: Decoder, row: list[int]) -> torch.Tensor:
    return model.loss(model.hidden(torch.tensor([row[:-1]])), torch.tensor([row[1:]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN|RECIPE")
    parser.add_argument("--stories", type=Path, required=True, help="a .jsonl of stories that were not trained on")
    parser.add_argument("--num-stories", type=int, default=200, help="that the loss is taken of")
    parser.add_argument("--told", type=int, default=20, help="stories that the page tells")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with open(arguments.stories, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(arguments.num_stories), lines, strict=False)]
    results = []
    for name in arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            given = Path(name)
            run = given if given.is_dir() else random_run(name, Path(folder) / "run")
            result = measured(run, Path(folder), arguments.told)
            result["loss"] = losses(run, texts) if given.is_dir() else None
        results.append(result)
        print(json.dumps(result))
    document = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__, "results": results}
    write(document, arguments.out)


if __name__ == "__main__":
    main()
