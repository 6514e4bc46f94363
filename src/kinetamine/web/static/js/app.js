// The frame: which page is shown, and in which colours.
import * as state from "./state.js";
import { h, refusal } from "./elements.js";

const PAGES = ["explore", "compare", "course", "detect", "claims", "models"];
const main = document.getElementById("main");
let leave = () => {};
let turn = 0;

/** Show the page that the address names. A page is a module with `show(main, settings)`; it returns how to leave it. */
async function open(focus) {
  const mine = ++turn;
  const { page, settings } = state.read();
  if (page === "main") return; // the link that skips to the content
  leave();
  leave = () => {};
  state.forget();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!PAGES.includes(page)) {
    main.replaceChildren(refusal(new Error(`There is no page ${page}; the pages are ${PAGES.join(", ")}.`)));
    return;
  }
  document.title = `kinetamine: ${page}`;
  try {
    const { show } = await import(`./pages/${page}.js`);
    if (mine !== turn) return;
    main.replaceChildren();
    leave = (await show(main, settings)) ?? leave;
    if (focus) main.focus({ preventScroll: true });
  } catch (error) {
    if (mine === turn) main.replaceChildren(error.faults ? refusal(error) : refusal(new Error(`This page failed: ${error.message}`)));
    if (!error.faults) console.error(error);
  }
}

const theme = document.getElementById("theme");
// the one thing kept, in this browser alone: light or dark
theme.value = localStorage.getItem("theme") ?? "";
function colour() {
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
  dispatchEvent(new Event("recolour"));
}
theme.addEventListener("change", () => {
  if (theme.value) localStorage.setItem("theme", theme.value);
  else localStorage.removeItem("theme");
  colour();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colour);
colour();

addEventListener("hashchange", () => open(true));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
open(false);
