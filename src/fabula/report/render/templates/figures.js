// Draws the figures: phases and seeds on and off, linear and logarithmic, the second half of the run, values under the
// pointer, findings that lead to their text. What is pressed or unfolded is heard on the document, so that figures may
// come and go. The chart library must be there before `show` is called.
"use strict";
const figures = (() => {
  let curves = {};
  let specs = {};
  const state = {};
  const stateOf = (group) => (state[group] ??= { hidden: new Set(), from: 0 });

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

  function pointsOf(figure) {
    const { parts, rows } = specs[figure.id];
    return rows || rowsOf(figure.dataset.group, parts);
  }

  // The compiled specification with its data and the scale that is switched on.
  function prepared(figure) {
    const copy = structuredClone(specs[figure.id].vega);
    copy.data.find((each) => each.name === "points").values = pointsOf(figure);
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
    const { hidden } = stateOf(figure.dataset.group);
    const { view } = figure;
    const at = clientX - figure.querySelector(".plot svg").getBoundingClientRect().left - view.padding().left - view.origin()[0];
    const step = view.scale("x");
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
    figure.drawn = specs[figure.id].vega;
    figure.source = sourceOf(figure);
    const holder = document.createElement("div");
    const { view } = await vegaEmbed(holder, spec, {
      mode: "vega", renderer: "svg", actions: false, defaultStyle: false, hover: true, tooltip: showTip, logLevel: 1,
    });
    if (ownSignals.has("child_width")) view.signal("child_width", Math.max(110, Math.min(720, room - 190))).resize();
    else view.width(Math.max(200, room));
    if (ownSignals.has("hidden")) {
      const { hidden, from } = stateOf(figure.dataset.group);
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
      if (figure.view) figure.view.signal("hidden", [...stateOf(group).hidden]).signal("from", stateOf(group).from).runAsync();
    }
  }

  function press(button, on) {
    button.setAttribute("aria-pressed", String(on));
  }

  function pressedIn(bar, button) {
    const group = bar.dataset.group;
    if (button.dataset.hide !== undefined) {
      const on = button.getAttribute("aria-pressed") !== "true";
      press(button, on);
      if (on) stateOf(group).hidden.delete(button.dataset.hide);
      else stateOf(group).hidden.add(button.dataset.hide);
    } else {
      bar.querySelectorAll("[data-from]").forEach((other) => press(other, other === button));
      stateOf(group).from = Number(button.dataset.from) * lastStep(group);
    }
    update(group);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const bar = button && button.closest(".switches, .scale");
    if (!bar) return;
    if (bar.matches(".switches")) {
      pressedIn(bar, button);
      return;
    }
    bar.querySelectorAll("button").forEach((other) => press(other, other === button));
    draw(bar.closest("figure"));
  });

  // What is folded away has no width yet; it is drawn when it is unfolded.
  const drawable = (figure) => specs[figure.id] && figure.querySelector(".plot").clientWidth > 0;
  const drawIn = (place, how = draw) => Promise.all([...place.querySelectorAll("figure[id]")].filter(drawable).map(how));
  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details[open]")) drawIn(event.target);
  }, true);
  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => drawIn(document), 150);
  });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const sourceOf = (figure) => specs[figure.id].rows || curves[figure.dataset.group];

  // A figure that is drawn gets the new points only: nothing else of it moves.
  function grow(figure) {
    if (!figure.view || figure.drawn !== specs[figure.id].vega) return draw(figure);
    if (figure.source === sourceOf(figure)) return figure.view;
    figure.source = sourceOf(figure);
    return figure.view.data("points", pointsOf(figure)).runAsync();
  }

  async function show(newCurves, newSpecs) {
    curves = newCurves;
    specs = newSpecs;
    document.querySelectorAll(".scale").forEach((each) => { each.hidden = false; });
    await drawIn(document, grow);
    document.body.classList.add("live");
  }

  return { show };
})();
