// One model: its weights, caches and the order in which the kernels are called. What model/decoder.py computes.
//
// All numbers are places in the memory of the kernels. Floats take 4 bytes.

const TOKENS_AT_ONCE = 8; // of a prompt: weights are widened once for four of them

class Decoder {
  #kernels;
  #model;
  #table; // of tensors: where they lie behind #base
  #base;
  #end; // of what is taken
  tokens = []; // what the caches hold

  // `model` is what packing.py says of it; `content` gives its bytes in chunks.
  static async load(kernels, model, content) {
    const decoder = new Decoder(kernels, model);
    let at = decoder.#base;
    for await (const chunk of content) {
      new Uint8Array(kernels.memory.buffer).set(chunk, at);
      at += chunk.length;
    }
    if (at - decoder.#base !== model.num_bytes) throw new Error(DAMAGED);
    decoder.#fillRotations();
    return decoder;
  }

  constructor(kernels, model) {
    this.#kernels = kernels;
    this.#model = model;
    this.#table = model.tensors;
    this.#end = kernels.__heap_base.value;
    this.#base = this.#room(model.num_bytes);

    const { layers, width, heads, kv_heads, head_width, inner, context, vocabulary } = model;
    const floats = (count) => this.#room(4 * count);
    const T = TOKENS_AT_ONCE;
    this.x = floats(T * width);
    this.y = floats(T * width);
    this.before = floats(width);
    this.queries = floats(T * heads * head_width);
    this.attended = floats(T * heads * head_width);
    this.scores = floats(context);
    this.up = floats(T * inner * (model.gated ? 2 : 1));
    this.inner = floats(T * inner);
    this.logits = floats(vocabulary);
    this.chances = floats(vocabulary);
    this.drawn = floats(vocabulary);
    this.keys = Array.from({ length: layers }, () => floats(context * kv_heads * head_width));
    this.values = Array.from({ length: layers }, () => floats(context * kv_heads * head_width));
    this.rotations = {};
    for (const kind of ["global", "local"]) {
      if (!this.#table[`rope.${kind}`]) continue;
      const size = (context * head_width) / 2;
      this.rotations[kind] = { cosine: floats(size), sine: floats(size) };
    }
    const missing = this.#end - kernels.memory.buffer.byteLength;
    if (missing > 0) kernels.memory.grow(Math.ceil(missing / 65536));
  }

  #room(bytes) {
    const at = Math.ceil(this.#end / 16) * 16;
    this.#end = at + bytes;
    return at;
  }

  #fillRotations() {
    const { context, head_width } = this.#model;
    const half = head_width / 2;
    for (const [kind, { cosine, sine }] of Object.entries(this.rotations)) {
      const frequencies = new Float32Array(this.#kernels.memory.buffer, this.#floats(`rope.${kind}`), half);
      const cosines = new Float32Array(this.#kernels.memory.buffer, cosine, context * half);
      const sines = new Float32Array(this.#kernels.memory.buffer, sine, context * half);
      for (let position = 0; position < context; position++)
        for (let i = 0; i < half; i++) {
          const angle = Math.fround(position * frequencies[i]); // as float32 has it
          cosines[position * half + i] = Math.cos(angle);
          sines[position * half + i] = Math.sin(angle);
        }
    }
  }

  // Where the floats of a tensor of one dimension lie; 0 where the model has none, which the kernels take for none.
  #floats(name) {
    const place = this.#table[name];
    return place ? this.#base + place.floats : 0;
  }

  // One row of a table, times `factor`, added to what stands at `out` or put there.
  #lookUp(out, name, row, factor, added) {
    const { columns, integers, scales } = this.#table[name];
    const scale = new Float32Array(this.#kernels.memory.buffer, this.#base + scales, row + 1)[row];
    this.#kernels.look_up(out, this.#base + integers + row * columns, scale, factor, columns, added ? 1 : 0);
  }

  // Rows `from` to `to` of a matrix, with T tokens at `x`.
  #product(out, x, name, T, from = 0, to = this.#table[`${name}.weight`].rows) {
    const { columns, integers, scales } = this.#table[`${name}.weight`];
    const bias = this.#floats(`${name}.bias`);
    const base = this.#base;
    this.#kernels.matmul(
      out, x, base + integers + from * columns, base + scales + 4 * from, bias && bias + 4 * from, to - from, columns, T,
    );
  }

  #norm(out, x, name, T) {
    const { width, epsilon, centred } = this.#model;
    this.#kernels.norm(out, x, this.#floats(`${name}.weight`), this.#floats(`${name}.bias`), T, width, epsilon, centred);
  }

  // Read up to TOKENS_AT_ONCE tokens more. Their keys and values are kept.
  read(tokens) {
    const from = this.tokens.length;
    this.#embed(tokens, from);
    for (let layer = 0; layer < this.#model.layers; layer++) {
      this.#attend(`layers.${layer}`, layer, tokens, from);
      this.#feedForward(`layers.${layer}`, tokens.length);
    }
    this.tokens.push(...tokens);
    this.last = this.x + 4 * this.#model.width * (tokens.length - 1);
  }

  #embed(tokens, from) {
    const { width, embedding_factor: factor } = this.#model;
    const x = (place) => this.x + 4 * width * place;
    tokens.forEach((token, place) => this.#lookUp(x(place), "embedding.weight", token, factor, false));
    const weight = this.#floats("previous_token");
    if (weight) {
      // From the last to the first, so that each still finds the one before it as it was.
      for (let place = tokens.length - 1; place > 0; place--)
        this.#kernels.add_weighted(x(place), weight, x(place - 1), width);
      if (from > 0) {
        this.#lookUp(this.before, "embedding.weight", this.tokens[from - 1], factor, false);
        this.#kernels.add_weighted(x(0), weight, this.before, width);
      }
    }
    if (this.#model.embedding_norm) this.#norm(this.x, this.x, "embedding_norm", tokens.length);
    if (this.#table["positions.weight"])
      tokens.forEach((_, place) => this.#lookUp(x(place), "positions.weight", from + place, 1, true));
  }

  #attend(name, layer, tokens, from) {
    const { heads, kv_heads, head_width, query_scale, windows, qk_norm, epsilon, width } = this.#model;
    const [H, K, T] = [heads * head_width, kv_heads * head_width, tokens.length];
    const keys = this.keys[layer] + 4 * K * from;
    const values = this.values[layer] + 4 * K * from;
    this.#norm(this.y, this.x, `${name}.attention_norm`, T);
    this.#product(this.queries, this.y, `${name}.attention.qkv`, T, 0, H);
    this.#product(keys, this.y, `${name}.attention.qkv`, T, H, H + K);
    this.#product(values, this.y, `${name}.attention.qkv`, T, H + K, H + 2 * K);
    const table = `value_embeddings.${layer}.weight`;
    if (this.#table[table])
      tokens.forEach((token, place) => this.#lookUp(values + 4 * K * place, table, token, 1, true));
    if (qk_norm) {
      const [q, k] = ["query_norm", "key_norm"].map((each) => this.#floats(`${name}.attention.${each}.weight`));
      this.#kernels.norm(this.queries, this.queries, q, 0, T * heads, head_width, epsilon, 0);
      this.#kernels.norm(keys, keys, k, 0, T * kv_heads, head_width, epsilon, 0);
    }
    const rotation = this.rotations[windows[layer] ? "local" : "global"];
    for (let place = 0; place < T; place++) {
      const position = from + place;
      const query = this.queries + 4 * H * place;
      if (rotation) {
        const at = 2 * head_width * position; // 4 bytes, half a head
        this.#kernels.rotate(query, rotation.cosine + at, rotation.sine + at, heads, head_width);
        this.#kernels.rotate(keys + 4 * K * place, rotation.cosine + at, rotation.sine + at, kv_heads, head_width);
      }
      const first = windows[layer] ? Math.max(0, position + 1 - windows[layer]) : 0;
      this.#kernels.attend(
        this.attended + 4 * H * place, query, this.keys[layer] + 4 * K * first, this.values[layer] + 4 * K * first,
        this.scores, heads, kv_heads, head_width, position + 1 - first, query_scale,
      );
    }
    this.#product(this.y, this.attended, `${name}.attention.out`, T);
    if (this.#model.post_norm) this.#norm(this.y, this.y, `${name}.attention_post_norm`, T);
    this.#kernels.add(this.x, this.y, T * width);
  }

  #feedForward(name, T) {
    const { activation, gated, inner, width } = this.#model;
    this.#norm(this.y, this.x, `${name}.feed_forward_norm`, T);
    this.#product(this.up, this.y, `${name}.feed_forward.up`, T);
    this.#kernels.activate(this.inner, this.up, activation, gated ? 1 : 0, T, inner);
    this.#product(this.y, this.inner, `${name}.feed_forward.down`, T);
    if (this.#model.post_norm) this.#norm(this.y, this.y, `${name}.feed_forward_post_norm`, T);
    this.#kernels.add(this.x, this.y, T * width);
  }

  // Logits of the token after the last one that was read.
  predict() {
    const { vocabulary, logit_cap, width } = this.#model;
    const { integers, scales } = this.#table.head ?? this.#table["embedding.weight"];
    this.#norm(this.y, this.last, "final_norm", 1);
    this.#kernels.matmul(
      this.logits, this.y, this.#base + integers, this.#base + scales, this.#floats("head_bias"), vocabulary, width, 1,
    );
    if (logit_cap) this.#kernels.cap(this.logits, logit_cap, vocabulary);
    return new Float32Array(this.#kernels.memory.buffer, this.logits, vocabulary);
  }

  // Probabilities of the last logits: the model's own, ...
  probabilities() {
    return this.#softmax(this.chances, 1);
  }

  // ... and those of which a token is drawn.
  atTemperature(temperature) {
    return temperature === 1 ? this.probabilities() : this.#softmax(this.drawn, temperature);
  }

  #softmax(out, temperature) {
    this.#kernels.softmax(out, this.logits, this.#model.vocabulary, temperature);
    return new Float32Array(this.#kernels.memory.buffer, out, this.#model.vocabulary);
  }
}
