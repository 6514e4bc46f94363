// A page with a form on the left and on the right what it computes: asked again at every change.
import { Latest } from "./api.js";
import { downloads } from "./download.js";
import { h, refill, refusal } from "./elements.js";
import { Figure, room } from "./figure.js";
import { write } from "./state.js";

/** Who types is left to finish a word, ms; a slider is followed at once. */
const TYPING = 400;
/** How long nothing moved before words and tables follow the figure, ms. */
const QUIET = 250;

/**
 * @param {HTMLElement} main
 * @param {{page: string, path: string, title: string, lead: Node[], settings: object, form: function, question: function,
 *   figures: {key?: string, title: string, zoom?: boolean}[], above?: function, told?: function, later?: function,
 *   rows: function, report?: function}} desk
 *   `form(changed)` gives the controls and calls `changed(settings, anew)`; `question()` what is asked; `above(answer)`
 *   and `told(answer)` what is said over and under the figures, or `later(over, under, still)` fills these places when
 *   nothing moves any more, as long as `still()`; `rows(answer)` the numbers for CSV; `report(answer)` saves a report.
 * @returns {Promise<function>} how to leave
 */
export async function desk(main, { page, path, title, lead = [], settings, form, question, figures, above, told, later, rows, report }) {
  let answer = null;
  let waiting = 0;
  let idle = 0;
  let turn = 0; // of the settings: what answers older ones is not shown
  let wide = 0;
  let less = 0; // pixels that a figure was too wide for its place
  const problem = h("div", { class: "problem" });
  const over = h("div", { "aria-live": "polite" });
  const places = figures.map(() => h("div", {}));
  const drawn = h("div", { class: "drawn" }, h("p", { class: "wait" }, "Computing …"));
  const words = h("div", {});
  const fields = h("form", { onsubmit: (e) => e.preventDefault(), "aria-label": `Settings: ${title}` });
  const shown = figures.map(({ title, zoom }, i) => new Figure(places[i], { title, zoom }));
  const view = h("div", {}, over, drawn,
    downloads({ name: `kinetamine-${page}`, figures: () => shown.filter((f) => f.view && !f.frame.parentElement.hidden), last: () => answer, rows, report: report && (() => report(answer)) }),
    words);
  const result = h("section", { class: "result", "aria-label": "Result" }, lead, problem, view);

  const busy = (on) => {
    result.classList.toggle("busy", on);
    result.setAttribute("aria-busy", on);
  };
  const settled = () => waiting || asked.next || busy(false);
  const asked = new Latest(
    path,
    async (found, mark) => {
      answer = found;
      problem.replaceChildren();
      if (!places[0].isConnected) drawn.replaceChildren(...places);
      for (const [i, { key }] of figures.entries()) {
        const definition = key ? found.figures?.[key] : found.figure;
        places[i].hidden = !definition;
        if (definition) await shown[i].show(definition);
      }
      if (mark) performance.measure("redraw", { start: mark });
      const beyond = Math.max(...shown.map(({ frame }) => frame.scrollWidth - frame.clientWidth));
      if (beyond > 0 && !less) {
        less = beyond;
        ask();
      }
      clearTimeout(idle);
      if (later) {
        const mine = turn;
        // else newer settings wait to be asked
        if (!waiting && !asked.next) idle = setTimeout(() => later(over, words, () => mine === turn), QUIET);
      } else {
        over.replaceChildren(...[above?.(found) ?? []].flat(Infinity).filter(Boolean));
        words.replaceChildren(...[told(found)].flat(Infinity).filter(Boolean));
      }
      view.classList.remove("void");
      settled();
    },
    (error) => {
      // what was shown answers another question: it is not to be read, and keeps its place
      answer = null;
      clearTimeout(idle);
      view.classList.add("void");
      problem.replaceChildren(refusal(error));
      settled();
    },
  );
  const ask = (mark) => {
    waiting = 0;
    busy(true);
    const { width, ...draw } = room(result, Boolean(settings.log));
    return asked.ask({ ...question(), draw: { ...draw, width: width - less } }, mark);
  };

  function changed(more, anew = false) {
    turn++;
    clearTimeout(idle);
    Object.assign(settings, more);
    for (const key of Object.keys(settings)) if (settings[key] === null || settings[key] === "") delete settings[key];
    write(page, settings);
    const typing = document.activeElement?.matches("input[type=text], textarea");
    if (anew) build();
    busy(true);
    clearTimeout(waiting);
    if (typing) waiting = setTimeout(() => ask(), TYPING);
    else ask(performance.now());
  }
  const build = () => refill(fields, h("h1", {}, title), form(changed));

  build();
  main.append(h("div", { class: "desk" }, fields, result));
  const watch = new ResizeObserver(() => {
    const now = result.clientWidth;
    if (wide && now && now !== wide) {
      less = 0;
      ask();
    }
    wide = now;
  });
  watch.observe(result);
  const recolour = () => ask();
  addEventListener("recolour", recolour);
  ask();
  return () => {
    asked.stop();
    clearTimeout(waiting);
    clearTimeout(idle);
    watch.disconnect();
    removeEventListener("recolour", recolour);
    for (const figure of shown) figure.remove();
  };
}
