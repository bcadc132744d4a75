// What else could have come: a card beside the token that is pointed at, with buttons once it is chosen.

class Looking {
  constructor() {
    this.card = make("aside", { class: "looking", role: "group", "aria-label": "What else could have come", hidden: true });
    this.keys = make("p", {
      id: "keys", hidden: true,
      text: "Left and right arrow keys go from token to token and say how probable each was; Enter offers others.",
    });
    document.body.append(this.card, this.keys);
    this.card.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#leave();
    });
    document.addEventListener("pointerdown", (event) => {
      if (this.pinned && !this.card.contains(event.target)) this.hide();
    });
    addEventListener("scroll", () => { if (!this.card.hidden) this.#put(); }, { passive: true });
  }

  // `token`: what is shown; `place`: its element; `branch(alternative | null)`: tell anew from here.
  show(token, place, pinned, branch, back) {
    if (this.pinned && !pinned) return;
    this.pinned = pinned;
    this.back = back;
    this.card.classList.toggle("pinned", pinned);
    const parts = [
      make("p", {}, make("strong", { text: named(token) }), ` had ${percent(token.probability)}`),
      make("ol", {}, ...token.alternatives.map((each) => this.#row(each, token, pinned && branch))),
      pinned ? make("button", { type: "button", text: "Tell anew from here, with another seed", onclick: () => { this.hide(); branch(null); } }) : null,
      pinned ? null : make("p", { class: "quiet hint", text: "Click, or press Enter, to choose another." }),
    ];
    this.card.replaceChildren(...parts.filter(Boolean));
    this.card.hidden = false;
    this.place = place;
    this.#put();
    if (pinned) this.card.querySelector("button")?.focus();
    else say(this.#sentence(token));
  }

  hide() {
    this.pinned = false;
    this.card.hidden = true;
  }

  #leave() {
    this.hide();
    this.back?.focus();
  }

  #sentence(token) {
    const others = token.alternatives.filter((each) => each.id !== token.id).slice(0, 3);
    const said = others.map((each) => `${named(each)} ${percent(each.probability)}`).join(", ");
    return `${named(token)}: ${percent(token.probability)}${said ? `; else ${said}` : ""}`;
  }

  #row(each, token, branch) {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${Math.max(1, 100 * each.probability)}%`;
    const words = [make("span", { class: "word", text: named(each) }), make("span", { class: "chance", text: percent(each.probability) }), bar];
    const taken = each.id === token.id;
    if (!branch || taken) return make("li", { class: taken ? "taken" : null }, ...words, taken ? make("span", { class: "visually-hidden", text: "(taken)" }) : null);
    return make("li", {}, make("button", { type: "button", onclick: () => { this.hide(); branch(each); } }, ...words));
  }

  // Below the token, inside the window; on a phone at its lower edge (play.css).
  #put() {
    const box = this.place.getBoundingClientRect(), card = this.card.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - card.width - 8));
    const below = box.bottom + 6;
    const top = below + card.height > innerHeight && box.top > card.height ? box.top - card.height - 6 : below;
    this.card.style.left = `${left}px`;
    this.card.style.top = `${top}px`;
  }
}
