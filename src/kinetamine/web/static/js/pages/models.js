// The models: where their numbers come from, in whom they hold, and how far off they are.
import { get } from "../api.js";
import { phrases, whole } from "../doses.js";
import { downloads } from "../download.js";
import { facts, h, number, read, refill, refusal, select, source, table, text } from "../elements.js";
import { Figure, room } from "../figure.js";
import { address, write } from "../state.js";

const KINDS = { pk: "concentrations in blood", effect: "acute effects" };
/** More panels than this are folded. */
const MOST_PANELS = 3;
const FILTERS = ["text", "kind", "drug", "route", "status"];

export async function show(main, settings) {
  return settings.id ? one(main, settings) : list(main, settings);
}

/** The catalogue. */
async function list(main, settings) {
  const s = { ...settings };
  const all = await get("/api/models");
  const count = h("p", { role: "status", class: "faint" });
  const groups = [
    ...Object.entries(KINDS).map(([kind, title]) => [title[0].toUpperCase() + title.slice(1), (m) => m.kind === kind && m.status !== "incomplete"]),
    ["Cannot run: numbers were not published", (m) => m.status === "incomplete"],
  ].map(([title, has]) => {
    const cards = all.filter(has).map((m) => ({ m, item: card(m, s), words: `${m.id} ${m.title} ${m.missing.join(" ")}`.toLowerCase() }));
    return { cards, section: h("section", {}, h("h2", {}, title), h("ul", { class: "cards" }, cards.map((c) => c.item))) };
  });

  function filter(more) {
    Object.assign(s, more);
    write("models", s);
    const wanted = (s.text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { cards, section } of groups) {
      let here = 0;
      for (const { m, item, words } of cards) {
        const fits = ["kind", "drug", "status"].every((key) => !s[key] || m[key] === s[key])
          && (!s.route || m.routes.includes(s.route)) && wanted.every((w) => words.includes(w));
        item.hidden = !fits;
        if (fits) item.querySelector("a").href = address("models", { id: m.id, ...kept(s) });
        here += fits;
      }
      section.hidden = !here;
      shown += here;
    }
    count.textContent = shown ? `${shown} of ${all.length} models` : "No model fits; fewer words or choices may.";
  }
  const choice = (label, name, values, words = {}) =>
    select({ label, name, value: s[name] ?? "", options: [["", "all"], ...values.map((v) => [v, words[v] ?? v])], change: (v) => filter({ [name]: v }) });
  const known = (key) => [...new Set(all.flatMap((m) => m[key]))].sort();

  refill(main,
    h("h1", {}, "Models"),
    h("p", {}, "Published models, with every number, its place in the paper and how it was read. Those marked derived were put together here from published numbers."),
    h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() },
      text({ label: "Words in a name or title", name: "text", value: s.text, change: (v) => filter({ text: v }) }),
      choice("What it gives", "kind", known("kind"), KINDS), choice("Drug", "drug", known("drug")),
      choice("Route", "route", known("routes")), choice("Status", "status", known("status"))),
    count, groups.map((g) => g.section));
  filter({});
}

const kept = (s) => Object.fromEntries(FILTERS.filter((key) => s[key]).map((key) => [key, s[key]]));

function card(m) {
  return h("li", {},
    h("a", { href: `#models?id=${m.id}` }, h("strong", {}, m.title || m.id)),
    h("p", { class: "tags" }, h("code", {}, m.id), h("span", {}, m.drug), m.routes.length > 0 && h("span", {}, m.routes.join(", ")), status(m.status)),
    m.missing.length > 0 && [h("p", {}, "What is missing:"), h("ul", {}, m.missing.map((x) => h("li", {}, x)))]);
}

const STATUS = { published: "fitted", derived: "extrapolated", incomplete: "no-data" };
const status = (word) => h("span", { class: `grade ${STATUS[word]}` }, word);

/** One model. */
async function one(main, settings) {
  const { id } = settings;
  const asked = (path, place) => {
    const { width, labels, theme } = room(place);
    return get(`${path}width=${Math.min(width, 720)}&labels=${labels}&theme=${theme}`);
  };
  const ask = () => asked(`/api/models/${encodeURIComponent(id)}?`, main);
  const [model, options] = await Promise.all([ask(), get("/api/options")]);
  const explore = exploring(model, options);
  const cited = (key) => source(model.sources?.[key] ?? key ?? "");
  const drawing = h("div", {});
  const checked = h("div", {}, h("p", { class: "wait" }, "Loading …"));
  const figures = [];
  const taken = { reproduce: { command: `kinetamine models ${id}`, python: `from kinetamine.models import library\n\nmodel = library.load("${id}")` } };
  const applies = model.applies ?? {};
  const span = (pair, unit) => pair && `${number(pair[0])} to ${number(pair[1])} ${unit}`;

  refill(main,
    h("p", {}, h("a", { href: address("models", kept(settings)) }, "All models")),
    h("h1", {}, model.title || model.id),
    h("p", { class: "tags" }, h("code", {}, model.id), status(model.status), h("span", {}, KINDS[model.kind])),
    explore && h("p", {}, h("a", { class: "button primary", href: explore }, "Open in Explore")),
    model.missing?.length ? h("div", { class: "error" }, h("p", {}, "This model cannot run. What is missing:"), h("ul", {}, model.missing.map((x) => h("li", {}, x)))) : "",
    h("p", { class: "source" }, cited(model.source)),
    section("In whom and where it holds", facts([
      ["Drug", model.drug],
      ["Routes", (applies.routes ?? Object.keys(model.entries ?? {})).join(", ")],
      ["Blood taken from", model.kind === "pk" && model.sampling],
      ["People", applies.health],
      ["Age", span(applies.age_years, "years")],
      ["Weight", span(applies.weight_kg, "kg")],
      ["Single doses", span(applies.dose_mg, "mg")],
      ["Trusted for", applies.duration_h && `${number(applies.duration_h)} h`],
      ["Digest of the file", h("code", {}, model.digest)],
    ]), h("p", { class: "faint" }, "Outside this a result is graded extrapolated.")),
    model.notes?.length ? section("Limits and remarks", h("ul", {}, model.notes.map((n) => h("li", {}, n)))) : "",
    section("Diagram", drawing, downloads({ name: id, figures: () => figures.filter(Boolean), last: () => taken, rows: () => numbers(model) })),
    drives(model), gives(model), parameters(model, cited), variability(model, cited), covariates(model), formulas(model),
    section("Against what was measured", checked),
    sources(model));

  const draw = async () => {
    const { figure } = await ask();
    figures[0] ??= new Figure(drawing, { title: `Compartments and flows of ${model.title || id}`, zoom: false });
    await figures[0].show(figure);
  };
  const validate = async () => {
    const found = await asked(`/api/validate/${model.kind === "pk" ? "pk" : "effects"}?model=${encodeURIComponent(id)}&`, checked);
    if (!found.rows.length) return checked.replaceChildren(h("p", {}, "No published observation that this model could predict."));
    if (!figures[1]) {
      const units = new Set(found.rows.map((r) => r.unit)).size;
      const place = h("details", { class: "more", open: units <= MOST_PANELS }, h("summary", {}, `Predicted against observed, ${units > 1 ? "one panel for each unit" : "as a figure"}`));
      checked.replaceChildren(found.figure ? place : "", ...compared(found.rows, model.status === "published"));
      if (found.figure) figures[1] = new Figure(place, { title: "Predicted against observed", zoom: false });
    }
    if (found.figure) await figures[1].show(found.figure);
  };
  const redraw = () => {
    draw().catch((error) => drawing.replaceChildren(refusal(error)));
    validate().catch((error) => checked.replaceChildren(refusal(error)));
  };
  let wide = 0;
  const watch = new ResizeObserver(() => {
    if (main.clientWidth !== wide) redraw();
    wide = main.clientWidth;
  });
  watch.observe(main);
  addEventListener("recolour", redraw);
  return () => {
    watch.disconnect();
    removeEventListener("recolour", redraw);
    for (const figure of figures) figure?.remove();
  };
}

const section = (title, ...content) => h("section", {}, h("h2", {}, title), content);
const unit = (u) => (u === "1" ? "–" : u);
const entries = (group) => Object.entries(group ?? {});

/** The address where this model can be tried, with a published dose; null where none was published. */
function exploring(model, options) {
  if (model.status === "incomplete") return null;
  const people = model.applies?.age_years?.[1] <= 18 ? "children" : "adults";
  if (model.kind === "effect") {
    const left = entries(model.drives).every(([, d]) => d.analyte.startsWith("S-"));
    const right = entries(model.drives).every(([, d]) => d.analyte.startsWith("R-"));
    const drug = left ? "S-ketamine" : right ? "R-ketamine" : "racemate";
    const dosed = options.routes.some((r) => r.people === people && r.route === "iv" && r.drug === drug && r.amounts.length);
    return dosed ? address("explore", { people, route: "iv", drug, effect: model.id }) : null;
  }
  const has = (m) => m.id.split(" + ").includes(model.id);
  const own = options.routes.find((r) => r.amounts.length && r.models.some(has));
  if (own) return address("explore", { people: own.people, route: own.route, drug: own.drug, model: own.models.find(has).id });
  const regimen = options.regimens.find((r) => r.models.includes(model.id));
  const like = options.routes.find((r) => r.amounts.length && r.people === people && r.drug === model.drug && r.route in (model.entries ?? {}));
  const dose = regimen?.doses ?? (like && phrases(whole({ people, route: like.route, drug: like.drug }, options).s));
  return dose ? address("explore", { people, dose, model: model.id }) : null;
}

function drives(model) {
  const rows = entries(model.drives);
  return rows.length
    ? section("What it reads", table(["concentration of", "in", "studied"], rows.map(([, d]) => [d.analyte, d.site, d.studied && `${number(d.studied[0])} to ${number(d.studied[1])} ${d.unit ?? "ng/mL"}`])))
    : "";
}

function gives(model) {
  const rows = entries(model.outputs);
  if (!rows.length) return "";
  return section("What it gives", model.kind === "pk"
    ? table(["name", "substance", "where", "unit"], rows.map(([name, o]) => [name, o.analyte ?? name, o.site, o.unit]))
    : table(["name", "effect", "unit", "counts as there from"], rows.map(([name, o]) => [name, o.effect ?? name, unit(o.unit), o.threshold && `${number(o.threshold.value)}: ${o.threshold.meaning}`])));
}

/** The parameters as rows for CSV. */
const numbers = (model) =>
  entries(model.parameters).map(([name, p]) => ({ model: model.id, name, value: p.value, unit: p.unit, place: p.place, seen: p.seen, source: p.source ?? model.source }));

function parameters(model, cited) {
  const rows = entries(model.parameters);
  if (!rows.length) return "";
  const wrong = (p) => (p.fixed ? "fixed" : p.rse_percent !== undefined ? `${number(p.rse_percent)} %` : p.se !== undefined ? `± ${number(p.se)}` : "");
  const known = rows.some(([, p]) => wrong(p));
  return section("Parameters", table(
    ["name", "value", "unit", ...(known ? ["standard error"] : []), "place in the paper", "how it was read"],
    rows.map(([name, p]) => [h("code", {}, name), number(p.value, 6), unit(p.unit), ...(known ? [wrong(p)] : []), [p.place, p.note && h("small", {}, ` (${p.note})`), p.source && [h("br"), h("small", {}, cited(p.source))]], read(p.seen ?? "recalled")]),
    { caption: model.status === "published" ? "As published, in the paper's units" : "As the file has them", numeric: [1] }));
}

function variability(model, cited) {
  const rows = entries(model.variability);
  if (model.status === "incomplete") return "";
  if (!rows.length) return section("Differences between people", h("p", {}, "None published, none invented: everyone of the same size gets the same curve."));
  const deviations = (v) => (v.covariance ? v.covariance.map((r, i) => Math.sqrt(r[i])) : v.variance ? v.variance.map(Math.sqrt) : v.sd ?? []);
  return section("Differences between people", table(
    ["of", "between", "standard deviation", "place in the paper", "how it was read"],
    rows.map(([, v]) => [h("code", {}, v.etas.join(", ")), v.level === "occasion" ? "occasions" : "people", deviations(v).map((x) => number(x)).join(", "), [v.place, v.source && [h("br"), h("small", {}, cited(v.source))]], read(v.seen ?? "recalled")]),
    { caption: "Random effects, on the scale on which the formulas use them" }));
}

function covariates(model) {
  const rows = entries(model.covariates);
  return rows.length
    ? section("What of a person counts", table(["name", "unit", "typical", "allowed"], rows.map(([name, c]) => [name, unit(c.unit), number(c.reference), c.values ? c.values.map((v) => number(v)).join(", ") : c.range && `${number(c.range[0])} to ${number(c.range[1])}`]), { numeric: [2] }))
    : "";
}

function formulas(model) {
  const lines = [
    ...entries(model.individual).map(([name, f]) => `${name} = ${f}`),
    ...entries(model.flows).map(([name, f]) => `${name}: ${[f.from, f.to ?? "out"].filter(Boolean).join(" → ")}, ${f.rate}${f.yield ? `, of which ${f.yield} arrives` : ""}`),
    ...entries(model.effect_sites).map(([name, f]) => `${name} follows ${f.follows}${f.rate ? ` at ${f.rate}` : ""}`),
    ...entries(model.outputs).map(([name, o]) => `${name} = ${o.value}`),
  ];
  return lines.length ? h("details", { class: "several" }, h("summary", {}, "Formulas of the file"), h("pre", { tabindex: 0 }, lines.join("\n"))) : "";
}

/** Numbers that the paper prints about its own model: not a prediction, a check that the file is right. */
const CHECK = "check of the file";

const range = (middle, low, high, unit) => [
  middle === null ? "" : `${number(middle)} `,
  low === null ? "" : `${middle === null ? "" : "("}${number(low)} to ${number(high)}${middle === null ? "" : ")"} `,
  unit && unit !== "1" ? unit : "",
].join("");
const off = (r) => (r.fold !== null ? `× ${number(r.fold)}` : r.difference !== null ? `${r.difference > 0 ? "+" : "−"} ${number(Math.abs(r.difference))} ${r.unit}` : "–");

function compared(rows, published) {
  const seen = rows.filter((r) => r.use !== CHECK);
  const printed = rows.filter((r) => r.use === CHECK);
  return [
    seen.length > 0 && table(
      ["study", "what", "blood from", "observed", "predicted", "predicted, compared with observed", "what it is"],
      seen.map((r) => [
        [r.study, " ", h("small", {}, source(r.citation ? { citation: r.arm ?? "", url: r.url } : r.arm ?? ""))],
        [r.metric, " ", r.analyte, r.remark && [h("br"), h("small", {}, r.remark)]],
        r.site, range(r.observed, r.low, r.high, r.unit), range(r.predicted, r.predicted_low, r.predicted_high, r.unit), off(r), r.use,
      ]),
      { caption: `${published ? "Nothing was tuned: the model stands as published. " : ""}In brackets: published interval, and 5 to 95 % of simulated people`, numeric: [5], wide: [0, 1] },
    ),
    printed.length > 0 && h("details", { class: "several" },
      h("summary", {}, `${printed.length} numbers that the paper prints about its own model`),
      h("div", {}, table(["dose", "what", "printed", "computed", "computed / printed", "place"],
        printed.map((r) => [r.arm, `${r.metric} of ${r.analyte}`, range(r.observed, null, null, r.unit), range(r.predicted, null, null, r.unit), number(r.fold), r.id]),
        { caption: "A check that the file is the paper's model", numeric: [4] }))),
  ].filter(Boolean);
}

function sources(model) {
  const all = Object.values(model.sources ?? {});
  return all.length ? section("Sources", h("ul", {}, all.map((s) => h("li", { class: "source" }, source(s))))) : "";
}
