// A story as text of which each token can be asked what else could have come.

const SURPRISES = [1, 2, 4, 7]; // bits: a token with the probability 1/2, 1/4, 1/16, 1/128

class TokenText {
  // `onLook(span | null, pinned)`: a token is pointed at, chosen, or left.
  constructor(label, onLook) {
    this.onLook = onLook;
    this.element = make("p", { class: "text", tabindex: "0", "aria-label": label, "aria-describedby": "keys" });
    this.element.addEventListener("pointerover", (event) => this.#pointed(event));
    this.element.addEventListener("pointerleave", () => this.onLook(null, false));
    this.element.addEventListener("click", (event) => {
      const span = this.#spanOf(event.target);
      if (span) this.select(span, true);
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("blur", () => this.onLook(null, false));
    this.begin("");
  }

  begin(prompt) {
    this.spans = [];
    this.selected = null;
    this.waiting = null;
    this.element.replaceChildren(make("em", { text: prompt }));
  }

  // Tokens without text yet belong to the one that completes their character.
  push(token, index) {
    this.waiting ??= { first: index, bits: 0 };
    this.waiting.bits += bits(token.probability);
    if (token.text === "") return;
    const level = SURPRISES.filter((limit) => this.waiting.bits >= limit).length;
    const space = token.text.match(/^\s*/)[0]; // belongs to the token, and is no part of the word that is tinted
    const word = token.text.slice(space.length) || null;
    const element = make("span", { class: "token" }, space, make("span", { class: `word surprise-${level}`, text: word ?? "" }));
    const span = { element, first: this.waiting.first, last: index, place: this.spans.length };
    element.span = span;
    this.spans.push(span);
    this.waiting = null;
    this.element.append(element);
  }

  // `rest`: bytes that never became a character; `copied`: ranges of tokens.
  finish(rest, copied) {
    if (rest) this.element.append(rest);
    for (const span of this.spans) {
      span.element.classList.toggle("copied", (copied || []).some(([first, end]) => span.first < end && span.last >= first));
    }
  }

  select(span, pinned) {
    if (this.selected) this.selected.element.classList.remove("selected");
    this.selected = span;
    if (span) span.element.classList.add("selected");
    this.onLook(span, pinned);
  }

  #spanOf(target) {
    return target.closest(".token")?.span;
  }

  #pointed(event) {
    if (event.pointerType !== "mouse") return; // a finger that scrolls points at nothing
    this.onLook(this.#spanOf(event.target) || null, false);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.spans.length) return;
    const place = this.selected ? this.selected.place : -1;
    const last = this.spans.length - 1;
    const to = { ArrowRight: place + 1, ArrowLeft: place < 0 ? last : place - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      this.select(this.spans[Math.max(0, Math.min(last, to))], false);
      this.selected.element.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && this.selected) {
      this.select(this.selected, true);
    } else if (event.key === "Escape") {
      this.select(null, false);
    } else {
      return;
    }
    event.preventDefault();
  }
}
