// Keeps the page as its records are: the server sends the parts that have changed, and of a part only what differs is
// touched, so that what is unfolded, focused, selected or in sight stays so. A page that nobody sees asks for nothing.
"use strict";
(() => {
  const page = document.getElementById("page");
  const connection = document.getElementById("connection");
  const curves = {};
  const specs = {};
  let source = null;

  // What the reader did stays: what is unfolded, what is pressed, where an explanation was moved to. The inside of a
  // plot belongs to figures.js.
  const OWN = new Set(["open", "aria-pressed", "hidden", "style"]);

  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !OWN.has(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !OWN.has(name)) old.setAttribute(name, value);
    }
    if (!old.classList.contains("plot")) morphChildren(old, fresh);
  }

  // By what a child is found again wherever it stands now; others are, by their place among those without.
  const keyOf = (node) => node.id || (node.nodeName === "DETAILS" && node.querySelector("summary").textContent) || "";

  function morphChildren(old, fresh) {
    const wanted = [...fresh.childNodes];
    const keys = new Set(wanted.map(keyOf).filter(Boolean));
    for (const each of [...old.childNodes]) if (keyOf(each) && !keys.has(keyOf(each))) each.remove();
    wanted.forEach((each, place) => {
      const key = keyOf(each);
      const there = old.childNodes[place];
      const known = key && [...old.children].find((other) => keyOf(other) === key);
      if (known) {
        if (known !== there) old.insertBefore(known, there || null);
        morph(known, each);
      } else if (!key && there && !keyOf(there)) morph(there, each);
      else old.insertBefore(each, there || null);
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  function elementOf(html) {
    const template = document.createElement("template");
    template.innerHTML = html; // scripts in it never run, and the page's policy allows none that stand in attributes
    return template.content.firstElementChild;
  }

  function receive({ title, order, html, curves: newCurves, specs: newSpecs }) {
    const seen = scrollY > 4 ? document.elementFromPoint(innerWidth / 2, innerHeight / 4) : null;
    const before = seen && seen.getBoundingClientRect().top;
    document.title = `${title} · fabula watch`;
    const parts = Object.fromEntries(Object.entries(html).map(([name, text]) => [name, elementOf(text)]));
    for (const each of [...page.children]) if (!order.includes(each.id)) each.remove();
    order.forEach((id, place) => {
      const there = document.getElementById(id);
      const at = page.children[place];
      if (!there) page.insertBefore(parts[id], at || null);
      else {
        if (there !== at) page.insertBefore(there, at || null);
        if (parts[id]) morph(there, parts[id]);
      }
    });
    if (seen && seen.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
    Object.assign(curves, newCurves);
    Object.assign(specs, newSpecs);
    return figures.show(curves, specs);
  }

  function follow() {
    if (document.hidden) {
      if (source) source.close();
      source = null;
    } else if (!source) {
      source = new EventSource("events");
      source.onopen = () => { connection.textContent = ""; };
      source.onmessage = (event) => receive(JSON.parse(event.data));
      source.onerror = () => {
        connection.textContent = "No connection to fabula watch: below is what it said last. It is asked again every few seconds.";
        if (source && source.readyState === EventSource.CLOSED) { // as it is for good after an answer that is a refusal
          source = null;
          setTimeout(follow, 5000);
        }
      };
    }
  }
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => source && source.close());
  follow();
})();
