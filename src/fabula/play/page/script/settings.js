// How the next token is drawn.

const SETTINGS = [
  { name: "temperature", label: "Temperature", type: "range", min: 0, max: 1.5, step: 0.05, value: 0.8,
    about: "0 always takes the likeliest token; above 1 it dares more than it has learned." },
  { name: "topP", label: "Top-p", type: "range", min: 0.05, max: 1, step: 0.05, value: 0.95,
    about: "Choose among the likeliest tokens that have this probability together." },
  { name: "maxTokens", label: "Tokens at most", type: "number", min: 1, max: 4096, step: 1, value: 300,
    about: "A token is a word or a part of one." },
  { name: "seed", label: "Seed", type: "number", min: 0, max: 2 ** 32 - 1, step: 1, value: 0,
    about: "The same seed gives the same story." },
  { name: "topK", label: "Top-k", type: "number", min: 0, max: 1000000, step: 1, value: 0, more: true,
    about: "Choose among the k likeliest tokens; 0: all." },
  { name: "minP", label: "Min-p", type: "range", min: 0, max: 0.5, step: 0.01, value: 0, more: true,
    about: "Leave out tokens below this share of the likeliest one's probability." },
];

class Settings {
  constructor(place) {
    this.inputs = {};
    const rows = SETTINGS.map((each) => ({ each, row: this.#row(each) }));
    place.append(
      ...rows.filter(({ each }) => !each.more).map(({ row }) => row),
      make("details", { class: "more" }, make("summary", { text: "More" }), ...rows.filter(({ each }) => each.more).map(({ row }) => row)),
    );
  }

  // Numbers inside their bounds, whatever was typed.
  values() {
    return Object.fromEntries(SETTINGS.map((each) => {
      const typed = this.inputs[each.name].valueAsNumber;
      const value = Number.isFinite(typed) ? Math.min(each.max, Math.max(each.min, typed)) : each.value;
      return [each.name, each.step === 1 ? Math.round(value) : value];
    }));
  }

  setSeed(seed) {
    this.inputs.seed.value = seed;
  }

  #row({ name, label, about, type, min, max, step, value }) {
    const input = make("input", { id: `set-${name}`, type, min, max, step, value, "aria-describedby": `about-${name}` });
    this.inputs[name] = input;
    const shown = type === "range" ? make("output", { for: input.id, text: value }) : null;
    if (shown) input.addEventListener("input", () => { shown.textContent = Number(input.value); });
    return make("div", { class: "setting" }, make("label", { for: input.id, title: about }, label, " ", shown), input,
      make("span", { class: "visually-hidden", id: `about-${name}`, text: about }));
  }
}
