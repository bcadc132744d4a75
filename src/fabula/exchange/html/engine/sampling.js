// Choosing a token: the rules of model/decode/sampling.py in their order.

// Ids of the likeliest tokens, likeliest first: at least as many as make `enough(count, mass)` true. Sorting 50,257
// numbers takes longer than a small model's token, and a few of them nearly always suffice.
function likeliest(chances, enough) {
  let largest = 0;
  for (const chance of chances) if (chance > largest) largest = chance;
  for (let floor = largest / 50; ; floor = floor > 1e-30 ? floor / 50 : 0) {
    const ids = [];
    let mass = 0;
    for (let id = 0; id < chances.length; id++)
      if (chances[id] >= floor) {
        ids.push(id);
        mass += chances[id];
      }
    if (floor === 0 || enough(ids.length, mass)) return ids.sort((a, b) => chances[b] - chances[a] || a - b);
  }
}

function largestOf(logits) {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

const isGreedy = ({ temperature, topK }) => temperature === 0 || topK === 1;

// One token of `chances` (softmax of logits / temperature); `uniform` in [0, 1) decides.
function chosen(chances, { topK, topP, minP }, uniform) {
  let ids = null; // null: all, in their own order
  let whole = 1;
  if (topK > 0 && topK < chances.length) {
    ids = likeliest(chances, (count) => count >= topK).slice(0, topK);
    whole = ids.reduce((sum, id) => sum + chances[id], 0);
  } else if (topP < 1) {
    ids = likeliest(chances, (_, mass) => mass >= topP);
  }
  if (ids && topP < 1) {
    let mass = 0;
    const beyond = ids.findIndex((id) => {
      const full = mass >= topP * whole;
      mass += chances[id];
      return full;
    });
    if (beyond >= 0) ids = ids.slice(0, beyond);
  }
  const at = ids ? (place) => ids[place] : (place) => place;
  const count = ids ? ids.length : chances.length;
  let [largest, total] = [0, 0];
  for (let place = 0; place < count; place++) largest = Math.max(largest, chances[at(place)]);
  const weight = (place) => (chances[at(place)] >= minP * largest ? chances[at(place)] : 0);
  for (let place = 0; place < count; place++) total += weight(place);
  const threshold = uniform * total;
  let [sum, last] = [0, 0];
  for (let place = 0; place < count; place++) {
    if (!weight(place)) continue;
    sum += weight(place);
    last = place;
    if (sum > threshold) break;
  }
  return at(last);
}
