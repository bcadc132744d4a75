// Elements from texts, and how numbers are written. What a model or a run says becomes text and nothing else.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const count = (number) => number.toLocaleString("en-US");

const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

function parameters(number) {
  return number >= 1e6 ? `${(number / 1e6).toPrecision(3)} million parameters` : plural(number, "parameter");
}

// Whether a page comes from the machine that it is read on.
const onThisMachine = ({ protocol, hostname }) => protocol === "file:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);

// The page's one voice for those who do not see it.
function say(sentence) {
  document.getElementById("spoken").textContent = sentence;
}

function percent(share) {
  if (share >= 0.0995) return `${Math.round(100 * share)} %`;
  return share >= 0.001 ? `${(100 * share).toPrecision(2)} %` : "under 0.1 %";
}

// A token by itself: what cannot be seen has a name.
function named(token) {
  if (token.end) return "the story ends";
  if (token.text == null || token.text === "") return "a part of a character";
  const text = token.text.trim();
  if (text) return text;
  return token.text.includes("\n") ? "a new line" : "a space";
}

const bits = (probability) => -Math.log2(Math.max(probability, 1e-12));
