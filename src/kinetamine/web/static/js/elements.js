// Elements of the page, made from plain values.

let serial = 0;
export const fresh = (stem) => `${stem}-${++serial}`;

/** An element: h("p", { class: "x", onclick: f }, "text", other). Text is never read as HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** New content in the place of the old; who typed or chose something stays there. */
export function refill(place, ...children) {
  const { name, type } = place.contains(document.activeElement) ? document.activeElement : {};
  place.replaceChildren(...h("div", {}, children).childNodes);
  if (name) [...place.elements ?? []].find((e) => e.name === name && e.type === type)?.focus();
}

/** A slider and a box for the same number; `change(number)` runs at every step. */
export function slider({ label, unit = "", min, max, step, value, change, hint, name }) {
  const id = fresh("slider");
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const range = h("input", { type: "range", id, min, max, step, value, name: name && `${name}-slider` });
  const box = h("input", { type: "number", step: "any", min: 0, value, name, "aria-label": `${label}${unit && ", " + unit}` });
  const say = () => range.setAttribute("aria-valuetext", `${box.value} ${unit}`);
  range.addEventListener("input", () => {
    box.value = Number(Number(range.value).toFixed(digits));
    say();
    change(Number(box.value));
  });
  box.addEventListener("input", () => {
    range.value = box.value;
    say();
    change(box.value === "" ? null : Number(box.value));
  });
  say();
  return h(
    "div",
    { class: "field slider" },
    h("label", { for: id }, label),
    h("span", { class: "pair" }, range, box, h("span", { class: "unit" }, unit)),
    hint && h("small", {}, hint),
  );
}

/** A choice of one; `options` are [value, text] or {group, options}. */
export function select({ label, options, value, change, hint, name }) {
  const id = fresh("select");
  const one = ([v, text, disabled]) => h("option", { value: v, disabled, selected: v === value }, text);
  const made = options.map((o) =>
    Array.isArray(o) ? one(o) : h("optgroup", { label: o.group }, o.options.map(one)),
  );
  const element = h("select", { id, name, onchange: () => change(element.value) }, made);
  if (value !== undefined && value !== null) element.value = value;
  return h("div", { class: "field" }, h("label", { for: id }, label), element, hint && h("small", {}, hint));
}

export function text({ label, value, change, hint, name, placeholder, list }) {
  const id = fresh("text");
  const box = h("input", { type: "text", id, name, value: value ?? "", placeholder, list, autocomplete: "off", spellcheck: "false" });
  box.addEventListener("input", () => change(box.value));
  return h("div", { class: "field" }, h("label", { for: id }, label), box, hint && h("small", {}, hint));
}

export function lines({ label, value, change, hint, name, rows = 3 }) {
  const id = fresh("lines");
  const box = h("textarea", { id, name, rows, spellcheck: "false" });
  box.value = value.join("\n");
  box.addEventListener("input", () => change(box.value.split("\n").map((l) => l.trim()).filter(Boolean)));
  return h("div", { class: "field" }, h("label", { for: id }, label), box, hint && h("small", {}, hint));
}

export function check({ label, value, change, name }) {
  const box = h("input", { type: "checkbox", name, checked: Boolean(value) });
  box.addEventListener("change", () => change(box.checked));
  return h("label", { class: "check" }, box, " ", label);
}

/** A box of many to tick, folded. */
export function several({ label, options, value, change, name }) {
  const chosen = new Set(value);
  const summary = h("summary", {});
  const say = () => (summary.textContent = chosen.size ? `${label}: ${[...chosen].join(", ")}` : label);
  say();
  const boxes = options.map(([v, words]) =>
    check({
      label: words,
      value: chosen.has(v),
      name,
      change: (on) => {
        if (on) chosen.add(v);
        else chosen.delete(v);
        say();
        change([...chosen]);
      },
    }),
  );
  return h("details", { class: "several", open: false }, summary, h("div", {}, boxes));
}

/** A table of texts; numbers stand to the right. */
export function table(head, rows, { caption, numeric = [], wide = [] } = {}) {
  const cell = (tag, c, i) =>
    h(tag, { class: (numeric.includes(i) && "number") || (wide.includes(i) && "wide"), scope: tag === "th" && "col" }, c ?? "–");
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? head.filter((x) => typeof x === "string").join(", ") },
    h(
      "table",
      {},
      caption && h("caption", {}, h("span", {}, caption)),
      h("thead", {}, h("tr", {}, head.map((c, i) => cell("th", c, i)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((c, i) => cell("td", c, i))))),
    ),
  );
}

/** Why nothing is shown: each fault with what was given, what was expected and what to try. */
export function refusal(error) {
  const faults = error.faults?.length ? error.faults : [null];
  return h(
    "div",
    { class: "error", role: "alert" },
    faults.map((f) =>
      f
        ? h(
            "p",
            {},
            h("strong", {}, f.where), ": got ", h("code", {}, f.given), "; expected ", f.expected,
            f.try && [". Try ", h("code", {}, f.try)],
          )
        : h("p", {}, error.message),
    ),
  );
}

/** How far to trust a number, in a word that never looks like another. */
export function grade(name) {
  return h("span", { class: `grade ${name.replace(/\W+/g, "-")}` }, name);
}

/** What the safety desk found, gravest first: the worst few open to the eye, all of them one press away. */
export function findings(list, sources = {}) {
  const one = (f) =>
    h(
      "li",
      { class: `finding ${f.severity}` },
      h("strong", {}, f.severity), " ", f.text, f.because && h("span", { class: "faint" }, ` (because: ${f.because})`),
      h("details", {}, h("summary", {}, "Who says so"),
        h("p", { class: "source" },
          [f.basis, f.product, f.population].filter(Boolean).join(", "), f.other_product && "; written for another product",
          f.place && `; ${f.place}`, ". ", source(sources[f.source] ?? f.source), f.seen === "recalled" && " (recalled, not read in the source)",
          f.note && ` ${f.note}`)),
    );
  // what excludes or asks for a change is never folded away, however many there are
  const open = (f, i) => i < 3 || f.severity === "exclude" || f.severity === "adjust";
  const [first, rest] = [list.filter(open), list.filter((f, i) => !open(f, i))];
  return h("div", {},
    h("ul", { class: "found" }, first.map(one)),
    rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} more ${rest.length === 1 ? "finding" : "findings"}`), h("ul", { class: "found" }, rest.map(one))));
}

/** A reference, with its link when it has one. */
export function source(words) {
  const text = typeof words === "string" ? words : words.citation ?? words.key ?? "";
  const found = /https?:\/\/\S+/.exec(text);
  const url = words.url ?? found?.[0];
  if (!url) return text;
  const short = url.length > 60 ? `${url.slice(0, 57)}…` : url;
  return [text.replace(found?.[0] ?? "", ""), " ", h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, short)];
}

/** Three digits, as a person writes them. */
export function number(x, digits = 3) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(x)));
  if (size >= 7 || size < -4) return x.toExponential(digits - 1);
  return Number(x.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 10, useGrouping: Math.abs(x) >= 1e4 });
}

const SEEN = { text: "read there", abstract: "read in the abstract", recalled: "recalled, not read", derived: "worked out here" };

/** How a published number was read; what nobody looked up never looks like what was read. */
export function read(seen) {
  return h("span", { class: `read ${seen}` }, SEEN[seen] ?? seen);
}

/** Facts by name; those without a value are left out. */
export function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
