// A figure: drawn once, then moved. Its definition is the one that the report and vector files are drawn from; of two
// definitions that differ in "datasets" and in values of "params" only, the second is not drawn anew.
import { h } from "./elements.js";

let library;
/** vega, loaded when the first figure is drawn. The interpreter spares the page from evaluating text as code. */
function vega() {
  library ??= (async () => {
    await import("/vendor/vega.js");
    const { expressionInterpreter } = await import("/static/vendor/vega-interpreter.js");
    return { embed: globalThis.vegaEmbed, expressionInterpreter };
  })();
  return library;
}

export const dark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

/** What the server is told about the place a figure goes to. */
export function room(element, log = false) {
  const wide = element.clientWidth || 600;
  const beside = wide >= 560;
  return { width: Math.max(220, Math.round(beside ? wide - 250 : wide - 76)), labels: beside ? "end" : "above", log, theme: dark() ? "dark" : "light" };
}

function layout({ datasets, params = [], ...rest }) {
  return JSON.stringify([rest, Object.keys(datasets ?? {}), params.map(({ value, ...other }) => other)]);
}

export class Figure {
  /** @param {HTMLElement} place @param {{title: string, zoom?: boolean}} options */
  constructor(place, { title, zoom = true } = {}) {
    this.canvas = h("div", { class: "canvas", tabindex: zoom ? 0 : null, role: "figure", "aria-label": title });
    this.box = h("div", { class: "brush", hidden: true });
    this.whole = h("button", { type: "button", class: "whole", hidden: true, onclick: () => this.zoom(null) }, "Whole time axis");
    this.frame = h("div", { class: "figure" }, this.canvas, this.box, this.whole);
    place.append(this.frame);
    this.title = title;
    this.span = null;
    if (zoom) this.#listen();
  }

  /** Draw a definition, or move what is drawn. Resolves when it is on the screen. */
  async show(definition) {
    const { embed, expressionInterpreter } = await vega();
    const like = layout(definition);
    if (this.view && like === this.like) {
      for (const [name, rows] of Object.entries(definition.datasets ?? {})) this.view.data(name, rows);
      for (const { name, value } of definition.params ?? []) {
        if (value === undefined || (this.span && name.startsWith("x_"))) continue;
        this.view.signal(name, value);
      }
      this.definition = definition;
      await this.view.runAsync();
    } else {
      const old = this.drawn;
      // parsing changes what it is given; the version it names is of other programs' interest
      const { $schema, ...own } = structuredClone(definition);
      this.drawn = await embed(this.canvas, own, {
        mode: "vega-lite",
        ast: true,
        expr: expressionInterpreter,
        actions: false,
        renderer: "canvas",
        defaultStyle: false,
        tooltip: { theme: "custom", disableDefaultStyle: true },
      });
      old?.finalize();
      this.view = this.drawn.view;
      this.like = like;
      this.definition = definition;
      this.canvas.setAttribute("role", "figure");
      this.canvas.setAttribute("aria-label", this.title);
      if (this.span) await this.zoom(this.span);
    }
    this.canvas.dataset.drawn = Number(this.canvas.dataset.drawn ?? 0) + 1;
  }

  /** Show a part of the time axis, [from, to] in its unit; null for all of it. */
  async zoom(span) {
    const given = Object.fromEntries((this.definition?.params ?? []).map((p) => [p.name, p.value]));
    if (given.x_low === undefined) return;
    this.span = span;
    this.whole.hidden = !span;
    const [low, high] = span ?? [given.x_low, given.x_high];
    this.view.signal("x_low", low).signal("x_high", high).signal("x_ticks", span ? ticks(low, high) : given.x_ticks);
    await this.view.runAsync();
  }

  /** The plot's left edge and width, in pixels of the canvas. */
  #plot() {
    const find = (item) => {
      if (item.marktype === undefined && item.width > 60 && item.items && item.mark?.name?.endsWith("_group")) return item;
      for (const inner of item.items ?? []) {
        const found = find(inner);
        if (found) return found;
      }
      return null;
    };
    const group = find(this.view.scenegraph().root);
    if (!group) return null;
    let left = this.view.origin()[0];
    for (let at = group; at; at = at.mark?.group) left += at.x ?? 0;
    return { left, width: group.width };
  }

  #now() {
    return [this.view.signal("x_low"), this.view.signal("x_high")];
  }

  #listen() {
    const { canvas, box } = this;
    let from = null;
    const at = (event) => event.clientX - canvas.getBoundingClientRect().left;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.pointerType !== "touch" && this.view) from = at(event);
    });
    addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = at(event);
      box.hidden = Math.abs(to - from) < 8;
      box.style.left = `${canvas.offsetLeft + Math.min(from, to)}px`;
      box.style.width = `${Math.abs(to - from)}px`;
    });
    addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [a, b] = [from, at(event)].sort((x, y) => x - y);
      from = null;
      box.hidden = true;
      const plot = b - a >= 8 && this.#plot();
      if (!plot) return;
      const [low, high] = this.#now();
      const time = (x) => low + ((high - low) * Math.min(Math.max(x - plot.left, 0), plot.width)) / plot.width;
      if (time(b) > time(a)) this.zoom([time(a), time(b)]);
    });
    canvas.addEventListener("dblclick", () => this.zoom(null));
    canvas.addEventListener("keydown", (event) => {
      if (!this.view || event.ctrlKey || event.metaKey) return;
      const [low, high] = this.#now();
      const width = high - low;
      const to = {
        "+": [low + width / 4, high - width / 4],
        "-": [low - width / 2, high + width / 2],
        ArrowLeft: [low - width / 5, high - width / 5],
        ArrowRight: [low + width / 5, high + width / 5],
        0: null,
      };
      const key = event.key === "=" ? "+" : event.key;
      if (!(key in to)) return;
      event.preventDefault();
      if (to[key] === null) return this.zoom(null);
      const given = Object.fromEntries(this.definition.params.map((p) => [p.name, p.value]));
      const room = given.x_high - given.x_low;
      let [a, b] = to[key];
      if (b - a >= room * (1 - 1e-9)) return this.zoom(null);
      const shift = Math.max(0, given.x_low - a) - Math.max(0, b - given.x_high);
      this.zoom([a + shift, b + shift]);
    });
  }

  svg() {
    return this.view.toSVG();
  }

  /** A picture on a white or dark ground, twice the size of the screen's. */
  async png() {
    const drawn = await this.view.toCanvas(2);
    const flat = h("canvas", { width: drawn.width, height: drawn.height });
    const brush = flat.getContext("2d");
    brush.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--ground") || "#fff";
    brush.fillRect(0, 0, flat.width, flat.height);
    brush.drawImage(drawn, 0, 0);
    return new Promise((done) => flat.toBlob(done, "image/png"));
  }

  remove() {
    this.drawn?.finalize();
    this.frame.remove();
  }
}

function ticks(low, high) {
  const rough = (high - low) / 7;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((k) => k * size >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-12); k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
