// What one likes: as a text file, or as a picture to show.

function storyText(version) {
  return version.prompt + version.tokens.map((token) => token.text).join("") + (version.end?.text ?? "");
}

const seedOf = ({ settings, branched }) => `seed ${settings.seed}${branched ? ", changed on the way by hand" : ""}`;

function toldBy(column) {
  const { model, version } = column;
  const { settings } = version;
  const rules = [`temperature ${settings.temperature}`, `top-p ${settings.topP}`, settings.topK ? `top-k ${settings.topK}` : null,
    settings.minP ? `min-p ${settings.minP}` : null, seedOf(version)];
  return [`${model.name}, ${parameters(model.parameters)}${version.step == null ? "" : `, step ${count(version.step)}`}`, rules.filter(Boolean).join(", ")];
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const fileName = (column, ending) =>
  `${column.model.name.replace(/[^\w.-]+/g, "-").slice(0, 60) || "story"}-seed-${column.version.settings.seed}${column.version.branched ? "-changed" : ""}.${ending}`;

function asText(column) {
  const { version } = column;
  const given = version.prompt ? ` The words "${version.prompt}" were given.` : "";
  return `${storyText(version)}\n\n(Told by ${toldBy(column).join("; ")}.${given})\n`;
}

function keepAsFile(column) {
  save(new Blob([asText(column)], { type: "text/plain" }), fileName(column, "txt"));
}

function keepAsCard(column) {
  const canvas = drawCard(column);
  const dialog = make("dialog", { class: "card-view", "aria-label": "The story as a picture" }, canvas,
    make("div", { class: "actions" },
      make("button", { type: "button", class: "main", text: "Save", onclick: () => canvas.toBlob((blob) => save(blob, fileName(column, "png"))) }),
      make("button", { type: "button", text: "Close", onclick: () => dialog.close() })));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

const CARD = { width: 1200, margin: 96, line: 1.5 };

function drawCard(column) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const story = storyText(column.version), given = column.version.prompt.length;
  const size = story.length < 500 ? 36 : story.length < 1200 ? 31 : 26;
  const fonts = { given: `italic ${size}px ${colour("--serif")}`, told: `${size}px ${colour("--serif")}` };
  const canvas = make("canvas", { width: CARD.width, height: 10, role: "img", "aria-label": `A card with the story by ${column.model.name}` });
  const pen = canvas.getContext("2d");
  const lines = brokenLines(pen, story, given, fonts, CARD.width - 2 * CARD.margin);
  const height = Math.round(2 * CARD.margin + lines.length * size * CARD.line + 110);
  canvas.height = height;
  pen.fillStyle = colour("--paper");
  pen.fillRect(0, 0, CARD.width, height);
  pen.fillStyle = colour("--c1");
  pen.fillRect(0, 0, 10, height);
  pen.textBaseline = "top";
  lines.forEach((line, row) => {
    let x = CARD.margin;
    for (const { text, kind } of line) {
      pen.font = fonts[kind];
      pen.fillStyle = colour(kind === "given" ? "--quiet" : "--ink");
      pen.fillText(text, x, CARD.margin + row * size * CARD.line);
      x += pen.measureText(text).width;
    }
  });
  pen.font = `20px ${colour("--sans")}`;
  pen.fillStyle = colour("--quiet");
  toldBy(column).forEach((text, row) => pen.fillText(text, CARD.margin, height - CARD.margin - 34 + row * 30, CARD.width - 2 * CARD.margin - 120));
  pen.textAlign = "right";
  pen.fillText("fabula", CARD.width - CARD.margin, height - CARD.margin - 4);
  return canvas;
}

// Lines of words that fit into `width`; each line: runs of what was given and what was told.
function brokenLines(pen, story, given, fonts, width) {
  const lines = [[]];
  let x = 0, place = 0;
  for (const word of story.match(/\n|[^\S\n]+|[^\s]+/g) ?? []) {
    const kind = place < given ? "given" : "told";
    place += word.length;
    if (word === "\n") {
      lines.push([]);
      x = 0;
      continue;
    }
    pen.font = fonts[kind];
    for (const part of fitting(pen, word, width)) {
      const wide = pen.measureText(part).width;
      if (x + wide > width && x > 0) {
        lines.push([]);
        x = 0;
        if (!part.trim()) continue;
      }
      lines.at(-1).push({ text: part, kind });
      x += wide;
    }
  }
  return lines.slice(0, 400);
}

// A word that is longer than a line, in parts.
function fitting(pen, word, width) {
  if (pen.measureText(word).width <= width) return [word];
  return [...word].reduce((parts, character) => {
    const longer = parts.at(-1) + character;
    if (pen.measureText(longer).width <= width) return [...parts.slice(0, -1), longer];
    return [...parts, character];
  }, [""]);
}
