// The same prompt from the first checkpoint to the last: a slider, and a film of it.

const PAUSE = 350; // milliseconds: a slider that is drawn across asks for nothing on the way

class CheckpointSlider {
  constructor(column) {
    this.column = column;
    this.steps = column.model.checkpoints;
    if (this.steps.length < 2) {
      this.element = make("p", { class: "quiet few", text:
        "This run keeps one checkpoint; below, “About this model” says how a run keeps more." });
      return;
    }
    this.input = make("input", { type: "range", min: 0, max: this.steps.length - 1, step: 1, "aria-label": `Checkpoint of ${column.model.name}` });
    this.film = make("button", { type: "button", text: "From the first to the last", title: "The same prompt and seed at each checkpoint, one after the other" });
    this.frames = make("ol", { class: "frames" });
    this.all = make("details", { class: "all", hidden: true }, make("summary", { text: "All of them" }), this.frames);
    this.element = make("div", { class: "checkpoints" },
      make("span", { class: "quiet", text: `step ${count(this.steps[0])}` }), this.input,
      make("span", { class: "quiet", text: count(this.steps.at(-1)) }), this.film);
    this.input.addEventListener("input", () => this.#moved());
    this.film.addEventListener("click", () => (this.running ? this.#halt() : this.#play()));
  }

  at(step) {
    if (!this.input) return;
    this.input.value = this.steps.indexOf(step);
    this.input.setAttribute("aria-valuetext", `step ${count(step)}`);
  }

  #moved() {
    const step = this.steps[this.input.valueAsNumber];
    this.column.step = step;
    this.at(step);
    clearTimeout(this.timer);
    const told = this.#known().get(step);
    if (told && !this.column.telling) this.column.show(this.column.versions.indexOf(told));
    else if (this.column.version) this.timer = setTimeout(() => this.#tell(step), PAUSE);
  }

  // Stories of the same prompt, seed and settings, as far as they were told from their beginning.
  #known() {
    const { version, versions } = this.column;
    const same = versions.filter((each) => each.end && !["stopped", "failed"].includes(each.end.reason)
      && each.prompt === version.prompt && JSON.stringify(each.settings) === JSON.stringify(version.settings) && !each.branched);
    return new Map(same.map((each) => [each.step, each]));
  }

  async #tell(step) {
    const { prompt, settings } = this.column.version;
    this.column.step = step;
    await this.column.tell(prompt, settings);
  }

  async #play() {
    const { column } = this;
    if (!column.version) await column.page.tell(column);
    if (!column.version?.promptIds) return; // it failed, and says why
    this.running = true;
    this.film.textContent = "Stop here";
    this.frames.replaceChildren();
    this.all.hidden = false;
    for (const step of this.steps) {
      const known = this.#known().get(step);
      if (known) {
        column.step = step;
        column.show(column.versions.indexOf(known));
      } else {
        await this.#tell(step);
      }
      if (!this.running || ["failed", "stopped"].includes(column.version.end?.reason)) break;
      this.#frame(column.version);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    this.#halt();
  }

  #halt() {
    this.running = false;
    this.film.textContent = "From the first to the last";
    this.column.stop();
  }

  #frame(version) {
    const go = () => this.column.show(this.column.versions.indexOf(version));
    this.frames.append(make("li", {}, make("button", { type: "button", text: `step ${count(version.step)}`, onclick: go }), make("p", { text: storyText(version) })));
  }
}
