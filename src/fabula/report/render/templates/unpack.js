// Replaces the static pictures by interactive ones. Without this script the page is whole.
"use strict";
(async () => {
  if (!("DecompressionStream" in window)) return;
  const bytes = Uint8Array.from(atob(document.getElementById("packed").textContent), (each) => each.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { curves, specs, program } = JSON.parse(await new Response(unpacked).text());
  (0, eval)(program);
  await figures.show(curves, specs);
})();
