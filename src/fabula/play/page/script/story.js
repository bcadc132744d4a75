// One model's column: its stories, and what one does with them.

class Column {
  constructor(engine, model, page) {
    Object.assign(this, { engine, model, page });
    // Stories, the newest behind the one that it came from: { prompt, promptIds, tokens, settings, step, end, branched,
    // drawnFrom }, the last one being the random numbers of the seed that were used when there was no token yet (below 0: a seed
    // that came in later).
    this.versions = [];
    this.at = -1;
    this.text = new TokenText(`Story by ${model.name}`, (span, pinned) => this.#look(span, pinned));
    this.about = make("p", { class: "source", text: "" });
    this.failure = make("p", { class: "failure", role: "alert" });
    this.buttons = {
      back: this.#button("‹", () => this.show(this.at - 1), "The story before"),
      forth: this.#button("›", () => this.show(this.at + 1), "The story after"),
      go: this.#button("Continue", () => this.continue()),
      again: this.#button("Another seed", () => this.again()),
      file: this.#button("Keep as text", () => keepAsFile(this)),
      card: this.#button("Keep as picture", () => keepAsCard(this)),
      stop: this.#button("Stop", () => this.stop()),
    };
    this.number = make("span", { class: "number quiet" });
    const { back, forth, go, again, file, card, stop } = this.buttons;
    this.facts = make("p", { class: "facts quiet" });
    this.slider = engine.features.checkpoints ? new CheckpointSlider(this) : null;
    this.element = make("article", { class: "story column" },
      make("h2", { text: model.name }), this.facts, this.slider?.element, this.failure, this.text.element, this.about,
      make("div", { class: "actions" }, make("span", { class: "versions" }, back, this.number, forth), stop, go, again, file, card),
      this.slider?.all, this.#card());
    this.step = model.step;
    this.slider?.at(model.step);
    this.#update();
  }

  get version() { return this.versions[this.at]; }

  get telling() { return Boolean(this.abort); }

  get step() { return this.stepShown; }

  set step(step) {
    this.stepShown = step;
    const loss = step === this.model.step ? this.model.loss : this.model.losses?.[step];
    const facts = [parameters(this.model.parameters), step == null ? null : `step ${count(step)}${this.model.steps ? ` of ${count(this.model.steps)}` : ""}`,
      loss == null ? null : `validation loss ${loss.toFixed(3)} nats a token`];
    this.facts.textContent = facts.filter(Boolean).join(" · ");
  }

  // A new story, when it is whole, stopped, or failed.
  async tell(prompt, settings) {
    const version = { prompt: prompt.replace(/ +$/, ""), promptIds: null, tokens: [], settings, step: this.step, drawnFrom: 0, end: null };
    await this.#run(version);
    return version;
  }

  async again() {
    const { prompt, settings } = this.version;
    await this.tell(prompt, { ...settings, seed: newSeed() });
  }

  async continue() {
    const version = this.version;
    version.end = null;
    await this.#run(version, true);
  }

  // From a token on: with `alternative` in its place and the same luck, or (null) with another seed.
  async branch(span, alternative) {
    const before = this.version;
    const tokens = before.tokens.slice(0, span.first);
    const version = { ...before, tokens, branched: true, end: null, settings: { ...before.settings } };
    if (alternative) {
      const replaced = before.tokens[span.first];
      tokens.push({ ...replaced, id: alternative.id, text: alternative.text ?? "", probability: alternative.probability });
      version.drawnFrom = Math.max(before.drawnFrom, -tokens.length); // before another seed came in, nothing is drawn
    } else {
      version.settings.seed = newSeed();
      version.drawnFrom = -tokens.length;
    }
    if (alternative?.end) {
      tokens.pop();
      version.end = { reason: "story", copied: null };
      this.#add(version);
      return;
    }
    await this.#run(version);
  }

  stop() { this.abort?.abort(); }

  show(at) {
    if (!this.versions[at] || this.telling) return;
    this.at = at;
    this.#draw();
  }

  #add(version) {
    this.versions.splice(this.at + 1, 0, version);
    this.at += 1;
    this.#draw();
  }

  async #run(version, going = false) {
    this.stop();
    const abort = (this.abort = new AbortController());
    this.failure.textContent = "";
    if (!going) this.#add(version);
    else this.#draw();
    const { settings } = version;
    const request = { ...settings, model: this.model.id, step: version.step, text: version.prompt, alternatives: 8,
      ids: version.promptIds && [...version.promptIds, ...version.tokens.map((token) => token.id)],
      told: version.tokens.length, drawn: version.drawnFrom + version.tokens.length };
    try {
      for await (const event of this.engine.generate(request, abort.signal)) {
        if (abort.signal.aborted) break;
        if (event.kind === "start") version.promptIds ??= event.ids;
        else if (event.kind === "token") this.#push(version, event);
        else version.end = event;
      }
    } catch (error) {
      if (error.name !== "AbortError") this.failure.textContent = error.message;
    }
    version.end ??= { reason: abort.signal.aborted ? "stopped" : "failed", copied: null, text: "" };
    if (this.abort === abort) this.abort = null;
    if (this.version === version) this.#draw(false);
    else this.#update();
    if (!abort.signal.aborted) say(`${this.model.name}: ${this.#summary(version)}`);
  }

  #push(version, token) {
    version.tokens.push(token);
    if (this.version === version) this.text.push(token, version.tokens.length - 1);
  }

  #draw(anew = true) {
    const version = this.version;
    this.page.looking.hide();
    if (anew) {
      this.text.begin(version.prompt);
      version.tokens.forEach((token, index) => this.text.push(token, index));
    }
    if (version.end) this.text.finish(version.end.text, version.end.copied);
    if (version.step !== this.step) this.step = version.step;
    this.slider?.at(version.step);
    this.#update();
  }

  #update() {
    const { back, forth, go, again, file, card, stop } = this.buttons;
    const version = this.version, idle = !this.telling;
    this.about.textContent = version?.end ? this.#summary(version) : "";
    this.number.textContent = this.versions.length > 1 ? `${this.at + 1} of ${this.versions.length}` : "";
    back.hidden = forth.hidden = this.versions.length < 2;
    back.disabled = !idle || this.at <= 0;
    forth.disabled = !idle || this.at >= this.versions.length - 1;
    stop.hidden = idle;
    go.hidden = !(idle && version?.promptIds && ["length", "stopped"].includes(version.end?.reason));
    again.hidden = file.hidden = card.hidden = !(idle && version?.end && version.promptIds);
    this.element.toggleAttribute("aria-busy", !idle);
    this.element.classList.toggle("empty", !version);
    this.page.changed();
  }

  #summary(version) {
    const { tokens, end } = version;
    const how = { story: "the story ended", length: `cut at ${plural(tokens.length, "token")}`, stopped: "stopped", failed: "not finished" }[end.reason];
    const said = [seedOf(version)];
    if (end.reason !== "length") said.push(plural(tokens.length, "token"));
    said.push(how);
    if (tokens.length) said.push(`${(tokens.reduce((sum, token) => sum + bits(token.probability), 0) / tokens.length).toFixed(1)} bits of surprise a token`);
    if (this.engine.features.copied && end.copied && tokens.length) {
      const copied = end.copied.reduce((sum, [first, last]) => sum + last - first, 0);
      const usual = end.usual == null ? "" : ` (of unseen stories by people ${percent(end.usual)} does)`;
      said.push(`${copied ? percent(copied / tokens.length) : "nothing"} stands word for word in a training story${usual}`);
    }
    return said.join(" · ");
  }

  #look(span, pinned) {
    const looking = this.page.looking;
    if (!span) {
      if (!looking.pinned) looking.hide();
      return;
    }
    const token = this.version.tokens[span.first];
    const shown = span.first === span.last ? token : { ...token, text: span.element.textContent };
    looking.show(shown, span.element, pinned, (alternative) => this.branch(span, alternative), this.text.element);
  }

  #button(text, onclick, label) {
    return make("button", { type: "button", text, onclick, "aria-label": label, title: label });
  }

  #card() {
    if (!this.model.card?.length) return null;
    const rows = this.model.card.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]);
    return make("details", { class: "about" }, make("summary", { text: "About this model" }), make("dl", {}, ...rows));
  }
}
