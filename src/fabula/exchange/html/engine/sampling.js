// Choosing a token: the rules of model/decode/sampling.py in their order.

// Ids of the likeliest tokens, likeliest first: at least as many as make `enough(count, mass)` true. Sorting 50,257
// numbers takes longer than a small model's token, and a few of them nearly always suffice.
function likeliest(chances, enough) {
  let largest = 0;
  for (const chance of chances) if (chance > largest) largest = chance;
  for (let floor = largest / 50; ; floor = floor > 1e-30 ? floor / 50 : 0) {
    let [count, mass] = [0, 0];
    for (const chance of chances)
      if (chance >= floor) {
        count++;
        mass += chance;
      }
    if (floor === 0 || enough(count, mass)) return descending(chances, floor, count);
  }
}

// The `count` ids with a chance of `floor` or more. An untrained model spreads its chances over all tokens, and a sort that
// compares by a function takes 20 times as long: so chance and id become one number. The bits of floats up to 1 are below
// 2 ** 30 and rise with them.
const ID_SPACE = 2 ** 20; // a vocabulary has a million tokens at most

function descending(chances, floor, count) {
  const bits = new Uint32Array(chances.buffer, chances.byteOffset, chances.length);
  const keys = new Float64Array(count);
  for (let id = 0, place = 0; id < chances.length; id++)
    if (chances[id] >= floor) keys[place++] = bits[id] * ID_SPACE + (ID_SPACE - 1 - id);
  keys.sort();
  const ids = new Int32Array(count);
  for (let place = 0; place < count; place++) {
    const key = keys[count - 1 - place];
    ids[place] = ID_SPACE - 1 - (key - Math.floor(key / ID_SPACE) * ID_SPACE);
  }
  return ids;
}

// Ids of the `count` likeliest, a few, likeliest first.
function best(chances, count) {
  const ids = [];
  for (let id = 0; id < chances.length; id++) {
    if (ids.length === count && !(chances[id] > chances[ids[count - 1]])) continue;
    let place = ids.length;
    while (place > 0 && chances[id] > chances[ids[place - 1]]) place--;
    ids.splice(place, 0, id);
    if (ids.length > count) ids.pop();
  }
  return ids;
}

function placeOfLargest(values) {
  let largest = 0;
  for (let place = 1; place < values.length; place++) if (values[place] > values[largest]) largest = place;
  return largest;
}

const isGreedy = ({ temperature, topK }) => temperature === 0 || topK === 1;

// One token of `chances` (softmax of logits / temperature); `uniform` in [0, 1) decides.
function chosen(chances, { topK, topP, minP }, uniform) {
  let ids = null; // null: all, in their own order
  if (topK > 0 && topK < chances.length) ids = likeliest(chances, (count) => count >= topK).subarray(0, topK);
  else if (topP < 1) ids = likeliest(chances, (_, mass) => mass >= topP);
  const weights = chances.slice(0, ids?.length);
  if (ids) for (let place = 0; place < ids.length; place++) weights[place] = chances[ids[place]];
  if (ids && topP < 1) keepNucleus(weights, topP, topK > 0);
  const least = minP * weights[placeOfLargest(weights)];
  let [total, sum, last] = [0, 0, 0];
  for (let place = 0; place < weights.length; place++) {
    if (weights[place] < least) weights[place] = 0;
    total += weights[place];
  }
  for (let place = 0; place < weights.length && (place === 0 || sum <= uniform * total); place++) {
    if (!weights[place]) continue;
    sum += weights[place];
    last = place;
  }
  return ids ? ids[last] : last;
}

// Of descending weights, none where the likelier ones have `topP` already, of all tokens or of `theirs` alone.
function keepNucleus(weights, topP, theirs) {
  let [mass, whole] = [0, 1];
  if (theirs) whole = weights.reduce((sum, weight) => sum + weight, 0);
  for (let place = 0; place < weights.length; place++) {
    const full = mass >= topP * whole;
    mass += weights[place];
    if (full) weights[place] = 0;
  }
}
