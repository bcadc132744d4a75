// Bytes back from the text in which as_text.py wrote them.

const DAMAGED = "this file is damaged or was cut short; get it once more";

function bytesOf(text) {
  const units = new Uint16Array(text.length);
  let length = 0;
  for (let i = 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    units[length++] = unit === 0xe000 ? text.charCodeAt(++i) ^ 0x8000 : unit;
  }
  // Every machine that runs a browser today stores the lower byte first, as the file does.
  return new Uint8Array(units.buffer, 0, Math.max(0, 2 * length - Number(text[0])));
}

// What was compressed, chunk by chunk, so that a model of any size is never there twice.
async function* unzipped(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } catch {
    throw new Error(DAMAGED);
  }
}

async function wholeOf(bytes) {
  const parts = [];
  for await (const part of unzipped(bytes)) parts.push(part);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
