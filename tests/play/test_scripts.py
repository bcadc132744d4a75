"""The page's scripts by themselves, in node, with elements that hold what they are given and nothing more."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from fabula.play.page.rendering import script_of

NODE = shutil.which("node")
if NODE is None:  # a whole file at once: what is skipped is counted
    pytest.skip("node is absent (Debian: apt install nodejs)", allow_module_level=True)

ELEMENTS = """
class Element {
  constructor() { this.listeners = {}; this.children = []; this.value = ""; this.classList = { toggle() {} }; }
  get valueAsNumber() { return Number(this.value); }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  fire(name) { this.listeners[name](); }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  setAttribute() {}
  toggleAttribute() {}
}
globalThis.document = { createElement: () => new Element() };
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
"""
COLUMN = """
// As story.js has it, with stories that take a while.
class Column {
  constructor() {
    Object.assign(this, { versions: [], at: -1, step: 20, asked: [] });
    this.model = { name: "one", checkpoints: [0, 10, 20] };
    this.page = { tell: () => this.tell("Once", { seed: 1 }) };
  }
  get version() { return this.versions[this.at]; }
  get telling() { return Boolean(this.abort); }
  async tell(prompt, settings) {
    this.stop();
    const version = { prompt, settings, step: this.step, tokens: [], end: null };
    const abort = (this.abort = { aborted: false });
    this.asked.push(this.step);
    this.versions.splice(++this.at, 0, version);
    await later(20);
    version.promptIds = [1];
    version.end = { reason: abort.aborted ? "stopped" : "length" };
    if (this.abort === abort) this.abort = null;
    return version;
  }
  stop() { if (this.abort) this.abort.aborted = true; }
  show(at) { if (!this.telling) this.at = at; }
}
const column = new Column(), slider = new CheckpointSlider(column);
const frames = () => slider.frames.children.length;
const until = async (true_) => { while (!true_()) await later(2); };
const said = () =>
  ({ asked: column.asked, frames: frames(), button: slider.film.textContent, at: column.version.step });
"""


def answer(body: str, *more: str) -> Any:
    """What the body of a function returns beside the page's scripts."""
    scripts = [script_of(f"{name}.js") for name in ("words", "keeping", "checkpoints")]
    assert "const PAUSE = 350" in scripts[-1]
    program = "\n".join(['"use strict";', ELEMENTS, *scripts, *more]).replace("PAUSE = 350", "PAUSE = 60")
    program += f"\n(async () => {{ {body} }})().then((value) => process.stdout.write(JSON.stringify(value)));"
    assert NODE is not None
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PLAYED = "slider.film.fire('click');"


def test_a_film_shows_each_checkpoint_and_ends() -> None:
    said = answer(f"{PLAYED} await until(() => frames() === 3 && !slider.running); return said();", COLUMN)
    assert said == {"asked": [20, 0, 10], "frames": 3, "button": "From the first to the last", "at": 20}


def test_a_film_stops_in_its_pause_and_one_that_is_begun_anew_is_the_only_one() -> None:
    stopped = f"{PLAYED} await until(() => frames() === 1); slider.film.fire('click');"
    said = answer(f"{stopped} await later(3 * PAUSE); return said();", COLUMN)
    assert said == {"asked": [20, 0], "frames": 1, "button": "From the first to the last", "at": 0}
    again = f"{stopped} {PLAYED} await until(() => frames() === 3 && !slider.running); await later(2 * PAUSE);"
    said = answer(f"{again} return said();", COLUMN)
    assert said["frames"] == 3 and sorted(said["asked"]) == [0, 10, 20]
    twice = f"{PLAYED} {PLAYED} await later(3 * PAUSE); return said();"  # stopped before the first story was whole
    assert answer(twice, COLUMN)["frames"] == 0


@pytest.mark.parametrize(
    ("done", "at"),
    [
        ("slider.input.value = 1; slider.input.fire('input');", 10),
        ("column.step = 20; column.tell('Another', { seed: 2 });", 20),
        ("column.show(column.versions.findIndex((each) => each.step === 20));", 20),
    ],
    ids=["the slider is moved", "another story is asked for", "one looks at another story"],
)
def test_whatever_else_is_done_ends_the_film(done: str, at: int) -> None:
    body = f"{PLAYED} await until(() => frames() === 1); {done} await until(() => column.version.step === {at});"
    said = answer(f"{body} await later(3 * PAUSE); return said();", COLUMN)
    assert said["frames"] == 1 and said["at"] == at and said["button"] == "From the first to the last"


def test_a_slider_that_is_moved_while_a_film_tells_shows_what_is_known() -> None:
    moved = "await until(() => column.asked.length === 2); slider.input.value = 2; slider.input.fire('input');"
    shown = "await until(() => column.version.step === 20); await later(2 * PAUSE);"
    said = answer(f"{PLAYED} {moved} {shown} return said();", COLUMN)
    assert said["at"] == 20 and said["asked"] == [20, 0], "the story of step 20 was told already"


@pytest.mark.parametrize(
    ("version", "how"),
    [
        ({"prompt": "Once"}, '. The words "Once" were given.'),
        ({"prompt": ""}, "."),
        ({"prompt": "", "branched": True}, ", changed on the way by hand."),
        ({"prompt": "A", "branched": True}, ', changed on the way by hand. The words "A" were given.'),
    ],
)
def test_a_story_that_is_kept_says_how_it_came_about(version: dict[str, Any], how: str) -> None:
    given = {"settings": {"temperature": 1, "topP": 1, "seed": 7}, "step": 20, "tokens": [{"text": " upon"}], "end": {}}
    column = {"model": {"name": "one", "parameters": 5}, "version": {**given, **version}}
    said, name = answer(f"const column = {json.dumps(column)}; return [asText(column), fileName(column, 'txt')];")
    rules = "temperature 1, top-p 1, seed 7"
    assert said == f"{version['prompt']} upon\n\n(Told by one, 5 parameters, step 20; {rules}{how})\n"
    assert name == ("one-seed-7-changed.txt" if version.get("branched") else "one-seed-7.txt")


def test_what_comes_from_this_machine() -> None:
    here = [
        "file:///a.html",
        "http://localhost:8321/",
        "http://127.0.0.1:8321/",
        "http://127.1.2.3/",
        "http://[::1]:1/",
    ]
    far = ["http://192.168.0.7:8321/", "http://machine.local:8321/", "https://127.0.0.1.example/", "http://[fe80::1]/"]
    said = answer(f"return {json.dumps(here + far)}.map((each) => onThisMachine(new URL(each)));")
    assert said == [True] * len(here) + [False] * len(far)
