// Replaces the static pictures by interactive ones: phases and seeds on and off, linear and logarithmic, the second
// half of the run, values under the pointer, findings that lead to their text. Without this script the page is whole.
"use strict";
(async () => {
  if (!("DecompressionStream" in window)) return;
  const bytes = Uint8Array.from(atob(document.getElementById("packed").textContent), (each) => each.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { curves, specs, program } = JSON.parse(await new Response(unpacked).text());
  (0, eval)(program);
  const state = {};
  for (const group of Object.keys(curves)) state[group] = { hidden: new Set(), from: 0 };

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function rowsOf(group, parts) {
    const rows = [];
    for (const run of curves[group]) {
      for (const part of parts) {
        const columns = run.curves[part];
        if (!columns) continue;
        for (let i = 0; i < columns.x.length; i++) {
          if (columns.y[i] > 0 || part === "rate") {
            rows.push({ x: columns.x[i], y: columns.y[i], phase: run.phase, seed: run.seed, part });
          }
        }
      }
    }
    return rows;
  }

  function lastStep(group) {
    let last = 0;
    for (const run of curves[group]) for (const { x } of Object.values(run.curves)) last = Math.max(last, x[x.length - 1]);
    return last;
  }

  function showTip(handler, event, item, value) {
    const datum = item && item.datum && (item.datum.datum || item.datum);
    if (value == null || !datum) {
      tip.hidden = true;
      return;
    }
    tip.textContent = `${datum.phase}, ${datum.seed} · step ${datum.x.toLocaleString("en")}: ${Number(datum.y.toPrecision(5))}`;
    tip.hidden = false;
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${y}px`;
  }

  // The compiled specification with its data and the scale that is switched on.
  function prepared(figure) {
    const { vega: spec, parts, rows } = specs[figure.id];
    const copy = structuredClone(spec);
    const points = copy.data.find((each) => each.name === "points");
    points.values = rows || rowsOf(figure.dataset.group, parts);
    const pressed = figure.querySelector(".scale button[aria-pressed=true]");
    if (pressed) {
      const y = copy.scales.find((each) => each.name === "y");
      y.type = pressed.dataset.scale;
      y.nice = y.type === "linear";
      if (y.type === "linear") for (const axis of copy.axes || []) if (axis.scale === "y") delete axis.values;
    }
    return copy;
  }

  // The finding that is marked where the pointer is, two pixels of grace on both sides.
  function bandAt(figure, clientX) {
    const { hidden } = state[figure.dataset.group];
    const at = clientX - figure.querySelector(".plot svg").getBoundingClientRect().left - figure.view.origin()[0];
    const step = figure.view.scale("x");
    return specs[figure.id].bands.find(
      (band) => !hidden.has(band.phase) && !hidden.has(band.seed) && step(band.from) - 2 <= at && at <= step(band.to) + 2,
    );
  }

  async function draw(figure) {
    const plot = figure.querySelector(".plot");
    const room = plot.clientWidth;
    const spec = prepared(figure);
    const ownSignals = new Set((spec.signals || []).map((signal) => signal.name));
    if (figure.view) figure.view.finalize();
    const holder = document.createElement("div");
    const { view } = await vegaEmbed(holder, spec, {
      mode: "vega", renderer: "svg", actions: false, defaultStyle: false, hover: true, tooltip: showTip, logLevel: 1,
    });
    if (ownSignals.has("child_width")) view.signal("child_width", Math.max(110, Math.min(720, room - 190))).resize();
    else view.width(Math.max(200, room));
    if (ownSignals.has("hidden")) {
      const { hidden, from } = state[figure.dataset.group];
      view.signal("hidden", [...hidden]).signal("from", from);
      view.addEventListener("click", (event) => {
        const found = bandAt(figure, event.clientX);
        if (found) location.hash = found.anchor;
      });
      view.addEventListener("pointermove", (event) => {
        plot.style.cursor = bandAt(figure, event.clientX) ? "pointer" : "";
      });
    }
    figure.view = view;
    await view.runAsync();
    plot.replaceChildren(holder);
  }

  function update(group) {
    for (const figure of document.querySelectorAll(`figure[data-group="${group}"][data-switchable]`)) {
      if (figure.view) figure.view.signal("hidden", [...state[group].hidden]).signal("from", state[group].from).runAsync();
    }
  }

  function press(button, on) {
    button.setAttribute("aria-pressed", String(on));
  }

  document.querySelectorAll(".switches").forEach((bar) => {
    const group = bar.dataset.group;
    bar.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.hide !== undefined) {
        const on = button.getAttribute("aria-pressed") !== "true";
        press(button, on);
        if (on) state[group].hidden.delete(button.dataset.hide);
        else state[group].hidden.add(button.dataset.hide);
      } else {
        bar.querySelectorAll("[data-from]").forEach((other) => press(other, other === button));
        state[group].from = Number(button.dataset.from) * lastStep(group);
      }
      update(group);
    });
  });

  document.querySelectorAll(".scale").forEach((choice) => {
    choice.hidden = false;
    choice.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      choice.querySelectorAll("button").forEach((other) => press(other, other === button));
      draw(choice.closest("figure"));
    });
  });

  // What is folded away has no width yet; it is drawn when it is unfolded.
  const drawable = (figure) => specs[figure.id] && figure.querySelector(".plot").clientWidth > 0;
  const drawIn = (place) => Promise.all([...place.querySelectorAll("figure[id]")].filter(drawable).map(draw));
  const all = () => drawIn(document);
  document.querySelectorAll("details").forEach((each) => each.addEventListener("toggle", () => { if (each.open) drawIn(each); }));
  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(all, 150);
  });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  all().then(() => document.body.classList.add("live"));
})();
