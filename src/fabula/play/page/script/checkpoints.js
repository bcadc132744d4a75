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
    if (this.running) this.#halt();
    this.column.step = step;
    this.at(step);
    clearTimeout(this.timer);
    if (this.#known().has(step) && !this.column.telling) this.#told(step);
    else if (this.column.version) this.timer = setTimeout(() => this.#told(step), PAUSE);
  }

  // Stories of the same prompt, seed and settings, as far as they were told from their beginning.
  #known() {
    const { version, versions } = this.column;
    const same = versions.filter((each) => each.end && !["stopped", "failed"].includes(each.end.reason)
      && each.prompt === version.prompt && JSON.stringify(each.settings) === JSON.stringify(version.settings) && !each.branched);
    return new Map(same.map((each) => [each.step, each]));
  }

  // The story at a step: the one that is known, or a new one.
  async #told(step) {
    const { column } = this;
    const known = this.#known().get(step);
    column.step = step;
    if (!known || column.telling) return column.tell(column.version.prompt, column.version.settings);
    column.show(column.versions.indexOf(known));
    return known;
  }

  // Each film has its token: whoever halts it, or begins another one, takes it away. Any other story ends it as well.
  async #play() {
    const { column } = this;
    const film = (this.running = {});
    this.film.textContent = "Stop here";
    clearTimeout(this.timer);
    if (!column.version) await column.page.tell(column);
    if (this.running !== film) return;
    if (column.version?.promptIds) await this.#frames(film); // else it failed, and says why
    if (this.running === film) this.#end();
  }

  async #frames(film) {
    const { column } = this;
    this.frames.replaceChildren();
    this.all.hidden = false;
    for (const step of this.steps) {
      const told = await this.#told(step);
      if (this.running !== film || column.version !== told || ["failed", "stopped"].includes(told.end.reason)) return;
      this.#frame(told);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      if (this.running !== film || column.version !== told || column.telling) return;
    }
  }

  #halt() {
    this.#end();
    this.column.stop();
  }

  #end() {
    this.running = null;
    this.film.textContent = "From the first to the last";
  }

  #frame(version) {
    const go = () => this.column.show(this.column.versions.indexOf(version));
    this.frames.append(make("li", {}, make("button", { type: "button", text: `step ${count(version.step)}`, onclick: go }), make("p", { text: storyText(version) })));
  }
}
