// The random numbers of `fabula generate`: a seed tells the same story here. numpy's SeedSequence mixes the seed
// (O'Neill's seed_seq_fe), and torch's generator, a Mersenne twister, draws from it.

const HASH = { a: 0x43b0d7e5, b: 0x931e8875, shiftA: 0x8b51f9dd, shiftB: 0x58f38ded, left: 0xca01f9dd, right: 0x4973f715 };

// SeedSequence([seed, 0]).generate_state(1): one number of 32 bits.
function mixedSeed(seed) {
  const words = [seed >>> 0];
  const high = Math.floor(seed / 2 ** 32);
  if (high) words.push(high >>> 0);
  words.push(0); // the number of the row: a page tells one story a request

  let constant = HASH.a;
  const hashed = (value) => {
    value = (value ^ constant) >>> 0;
    constant = Math.imul(constant, HASH.b) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mixed = (x, y) => {
    const value = (Math.imul(x, HASH.left) - Math.imul(y, HASH.right)) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: 4 }, (_, place) => hashed(words[place] ?? 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));

  const state = Math.imul((pool[0] ^ HASH.shiftA) >>> 0, Math.imul(HASH.shiftA, HASH.shiftB)) >>> 0;
  return (state ^ (state >>> 16)) >>> 0;
}

// MT19937 (Matsumoto and Nishimura 1998).
class Random {
  #state = new Uint32Array(624);
  #place = 624;

  constructor(seed) {
    this.#state[0] = mixedSeed(seed);
    for (let i = 1; i < 624; i++) {
      const before = this.#state[i - 1] ^ (this.#state[i - 1] >>> 30);
      this.#state[i] = Math.imul(1812433253, before) + i;
    }
  }

  // A number in [0, 1): the lower 24 bits, as torch makes a float32.
  uniform() {
    if (this.#place === 624) this.#renew();
    let y = this.#state[this.#place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return (y & 0xffffff) / 2 ** 24;
  }

  #renew() {
    const state = this.#state;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#place = 0;
  }
}
