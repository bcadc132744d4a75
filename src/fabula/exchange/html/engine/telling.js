// A story, token by token: what `complete` of model/decode/generate.py does for one prompt.

const RANGES = [
  ["temperature", (value) => value >= 0 && value < Infinity, "0 or more"],
  ["topK", (value) => Number.isInteger(value) && value >= 0, "0 (all) or more"],
  ["topP", (value) => value > 0 && value <= 1, "above 0 and at most 1"],
  ["minP", (value) => value >= 0 && value <= 1, "from 0 to 1"],
  ["seed", (value) => Number.isSafeInteger(value) && value >= 0, "0 or more"],
  ["maxTokens", (value) => Number.isSafeInteger(value) && value >= 1, "1 or more"],
];

class Storyteller {
  constructor(decoder, tokenizer, { context, end_of_text: endOfText, vocabulary }) {
    Object.assign(this, { decoder, tokenizer, context, endOfText, vocabulary });
  }

  // Events of a request. `pause` is awaited between tokens: whoever listens may stop there.
  async *tell(request, pause) {
    for (const [name, fine, range] of RANGES)
      if (!fine(request[name])) throw new Error(`${name} ${request[name]} means nothing; it is ${range}`);
    const ids = request.ids ? this.#known(request.ids) : this.#promptOf(request.text);
    yield { kind: "start", ids };
    let window = this.#windowOf(ids);
    const random = new Random(request.seed);
    for (let used = 0; used < request.drawn; used++) random.uniform();
    // Bytes of half a character wait here for the rest.
    const characters = new TextDecoder("utf-8", { ignoreBOM: true });
    const { eot } = this.tokenizer;
    for (const id of request.told ? ids.slice(-request.told) : [])
      characters.decode(this.tokenizer.bytes(id), { stream: true });
    for (let told = 0; told < request.maxTokens; told++) {
      yield* this.#read(window, pause);
      const logits = this.decoder.predict();
      const chances = this.decoder.probabilities();
      const id = this.#choose(logits, request, random);
      if (!Number.isFinite(chances[id])) throw new Error("the model's logits are not finite, so it cannot choose a token");
      const said = { probability: chances[id], alternatives: this.#alternatives(chances, request.alternatives) };
      if (id === eot) {
        yield { kind: "end", reason: "story", text: characters.decode(), ...said, copied: null };
        return;
      }
      yield { kind: "token", id, text: characters.decode(this.tokenizer.bytes(id), { stream: true }), ...said };
      await pause();
      window = [...window, id];
      if (window.length > this.context) window = window.slice(-Math.max(1, this.context >> 1));
    }
    yield { kind: "end", reason: "length", text: characters.decode(), copied: null };
  }

  #promptOf(text) {
    // A token brings its own leading space: a space before it would be one that the model never saw there.
    const ids = this.tokenizer.encode(text.replace(/ +$/, ""), this.context);
    if (ids && (this.endOfText || !ids.length)) ids.unshift(this.tokenizer.eot);
    if (ids && ids.length <= this.context) return ids;
    const length = ids ? `${ids.length.toLocaleString("en")} tokens` : "far more tokens";
    throw new Error(`the prompt has ${length}, but the model's context is ${this.context.toLocaleString("en")}; shorten it`);
  }

  #known(ids) {
    if (!ids.length) throw new Error("a prompt has no tokens; begin with end-of-text to get a story from its beginning");
    const strange = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabulary));
    if (strange !== undefined) throw new Error(`the model has no token ${strange}`);
    return ids;
  }

  // What `complete` would have before it after as many tokens.
  #windowOf(ids) {
    if (ids.length <= this.context) return ids;
    const half = Math.max(1, this.context >> 1);
    return ids.slice(-(half + ((ids.length - this.context - 1) % (this.context + 1 - half))));
  }

  // Have the decoder's caches hold `window`: what they hold of its beginning is not read again.
  async *#read(window, pause) {
    const { tokens } = this.decoder;
    let alike = 0;
    while (alike < tokens.length && alike < window.length - 1 && tokens[alike] === window[alike]) alike++;
    tokens.length = alike;
    for (let from = alike; from < window.length; from += TOKENS_AT_ONCE) {
      if (from > alike) await pause();
      this.decoder.read(window.slice(from, from + TOKENS_AT_ONCE));
    }
  }

  #choose(logits, request, random) {
    if (isGreedy(request)) return placeOfLargest(logits);
    return chosen(this.decoder.atTemperature(request.temperature), request, random.uniform());
  }

  #alternatives(chances, count) {
    if (!count) return [];
    return best(chances, count).map((id) =>
      id === this.tokenizer.eot
        ? { id, text: "", probability: chances[id], end: true }
        : { id, text: this.tokenizer.text(id), probability: chances[id] },
    );
  }
}
