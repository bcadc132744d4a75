// Links lead into what is folded away, paper shows all of it, and explanations stay inside the window. Without this
// script the page is whole.
"use strict";
(() => {
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let opened = false;
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) {
      opened = opened || !each.open;
      each.open = true;
    }
    if (opened) target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  // The same link pressed again changes no hash.
  addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  reveal();

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });

  const WIDTH = 320; // of an explanation, with its margin (style.css)
  function fit(event) {
    const term = event.target.closest && event.target.closest(".term");
    if (!term) return;
    // Its left edge is where the word ends.
    const room = document.documentElement.clientWidth - term.getBoundingClientRect().right - WIDTH;
    term.style.setProperty("--shift", `${Math.min(0, room)}px`);
  }
  addEventListener("pointerover", fit);
  addEventListener("focusin", fit);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement.matches(".term")) document.activeElement.blur();
  });
})();
