// Byte-level BPE: GPT-2's way of cutting a text, then merges in the order of the ids.

// The pattern of data/tokenizers/bpe.py. JavaScript's own \s is another set: it has U+FEFF and lacks U+0085.
const SPACE = "\\p{White_Space}";
const PIECES = new RegExp(
  `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+$|${SPACE}+(?![^${SPACE}])|${SPACE}`,
  "gu",
);

class Tokenizer {
  #bytes = [];
  #ids = new Map(); // of tokens whose bytes are written as characters
  #texts = new Map();
  #longest = 1;

  // `content`: how many tokens there are, the end-of-text token, the length of each (0: none), and their bytes.
  constructor(content) {
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const count = view.getUint32(0, true);
    this.eot = view.getUint32(4, true);
    let at = 8 + 2 * count;
    for (let id = 0; id < count; id++) {
      const length = view.getUint16(8 + 2 * id, true);
      const bytes = content.subarray(at, at + length);
      at += length;
      this.#bytes.push(bytes);
      if (length) this.#ids.set(String.fromCharCode(...bytes), id);
      if (length > this.#longest) this.#longest = length;
    }
  }

  // The tokens of `text`. More than `most` of them would be refused anyway, so that a book is not read to its end.
  encode(text, most) {
    const ids = [];
    let left = most * this.#longest;
    for (const [piece] of text.matchAll(PIECES)) {
      const bytes = new TextEncoder().encode(piece);
      left -= bytes.length;
      if (left < 0) return null;
      for (const id of this.#merged(bytes)) ids.push(id);
    }
    return ids;
  }

  #merged(bytes) {
    const parts = Array.from(bytes, (byte) => String.fromCharCode(byte));
    const rank = (place) => this.#ids.get(parts[place] + parts[place + 1]) ?? Infinity;
    const ranks = parts.map((_, place) => (place + 1 < parts.length ? rank(place) : Infinity));
    while (parts.length > 1) {
      let best = 0;
      for (let place = 1; place < ranks.length; place++) if (ranks[place] < ranks[best]) best = place;
      if (ranks[best] === Infinity) break;
      parts[best] += parts[best + 1];
      parts.splice(best + 1, 1);
      ranks.splice(best + 1, 1);
      ranks[best] = best + 1 < parts.length ? rank(best) : Infinity;
      if (best > 0) ranks[best - 1] = rank(best - 1);
    }
    return parts.map((part) => this.#ids.get(part));
  }

  // The bytes of a token; a row of the embedding beyond the tokenizer has none.
  bytes(id) {
    return this.#bytes[id] ?? new Uint8Array();
  }

  // What a token says by itself, or null where its bytes are no whole characters.
  text(id) {
    if (!this.#texts.has(id)) {
      let text = null;
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes(id));
      } catch {
        // part of a character
      }
      this.#texts.set(id, text);
    }
    return this.#texts.get(id);
  }
}
