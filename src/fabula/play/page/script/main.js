// The page as a whole.

const newSeed = () => Math.floor(Math.random() * 1_000_000);

class Page {
  constructor(engine) {
    this.engine = engine;
    this.looking = new Looking();
    this.form = document.querySelector(".asking");
    this.prompt = document.getElementById("prompt");
    this.button = this.form.querySelector("[type=submit]");
    this.another = document.getElementById("again");
    this.settings = new Settings(this.form.querySelector(".settings"));
    this.columns = [];
    this.columns = engine.models.map((model) => new Column(engine, model, this));
    const models = document.querySelector(".models");
    models.classList.toggle("single", this.columns.length === 1);
    models.append(...this.columns.map((column) => column.element));
    this.#examples();
    this.#reading();
    this.#foot();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.telling) this.columns.forEach((column) => column.stop());
      else this.tell();
    });
    this.another.addEventListener("click", () => {
      this.settings.setSeed(newSeed());
      this.tell();
    });
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    document.body.classList.add("live");
    this.changed();
  }

  get telling() { return this.columns.some((column) => column.telling); }

  // All columns at once, or the one that is asked.
  async tell(only) {
    const settings = this.settings.values();
    this.settings.setSeed(settings.seed);
    const stories = document.querySelector(".models");
    if (!only && stories.getBoundingClientRect().top > 0.7 * innerHeight) stories.scrollIntoView();
    await Promise.all((only ? [only] : this.columns).map((column) => column.tell(this.prompt.value, settings)));
  }

  changed() {
    this.button.textContent = this.telling ? "Stop" : this.columns.length > 1 ? "Tell them all" : "Tell";
    this.another.hidden = this.telling || !this.columns.some((column) => column.version);
    document.querySelector(".reading").hidden = !this.columns.some((column) => column.version?.tokens.length);
  }

  #examples() {
    const place = this.form.querySelector(".examples");
    place.append(...this.engine.prompts.map((text) => make("button", {
      type: "button", text: text.length > 60 ? `${text.slice(0, 58)}…` : text,
      onclick: () => { this.prompt.value = text; this.prompt.focus(); },
    })));
    place.hidden = !this.engine.prompts.length;
  }

  #reading() {
    const toggle = (name, words, sample) => {
      document.body.classList.add(name);
      const input = make("input", { type: "checkbox", checked: true, onchange: () => document.body.classList.toggle(name, input.checked) });
      return make("label", {}, input, " ", words, sample);
    };
    const scale = make("span", { class: "scale-of-surprise", "aria-hidden": "true" }, ...[0, 1, 2, 3, 4].map((level) => make("span", { class: `surprise-${level}`, text: " " })));
    document.querySelector(".reading").append(
      toggle("show-surprise", "the darker, the less the model expected it", scale),
      this.engine.features.copied ? toggle("show-copied", make("span", { class: "copied", text: "as it stands in a training story" }), " (8 tokens or more)") : "",
      make("span", { class: "quiet", text: "Point at a word, or choose it, to see what else could have come." }),
    );
  }

  #foot() {
    const { place, features } = this.engine;
    const said = [`The ${this.columns.length > 1 ? "models run" : "model runs"} ${place}${onThisMachine(location) ? "; nothing leaves this machine" : ""}.`];
    if (features.api) said.push(`Other programs can use ${this.columns.length > 1 ? "them" : "it"} at `);
    document.querySelector("footer").append(said.join(" "), features.api ? make("code", { text: new URL("v1", location.origin + location.pathname).href }) : "");
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const engine = await createEngine((text) => { state.textContent = text; });
    new Page(engine);
    state.textContent = "";
  } catch (error) {
    state.classList.add("failure");
    state.textContent = error.message;
  }
}
