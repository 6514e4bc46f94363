// A dose in people: what is in the blood, what it does and when, on one time axis.
import { get, post } from "../api.js";
import { desk } from "../desk.js";
import { doseFields, list, parts, question, sameForAll, timeShown, whole } from "../doses.js";
import { save } from "../download.js";
import { findings, grade, h, number, refusal, select, several, source, table, text } from "../elements.js";

const SPANS = ["1 h", "2 h", "4 h", "8 h", "24 h", "3 d", "7 d", "14 d", "28 d"];
const PEOPLE = [["1", "one typical patient"], ["100", "100"], ["1000", "1,000"], ["5000", "5,000"]];

/** Settings that change no curve, only what the safety desk says. */
const SAFETY = ["conditions", "medications", "pressure"];

/** What the safety desk is asked. */
function patient(s) {
  const [sbp, dbp] = (s.pressure ?? "").split("/").map(Number);
  return {
    ...question(s),
    conditions: parts(s.conditions),
    medications: parts(s.medications),
    ...(sbp ? { visit: dbp ? { sbp, dbp } : { sbp } } : {}),
  };
}

export async function show(main, settings) {
  const [options, known] = await Promise.all([get("/api/options"), get("/api/interactions")]);
  const { s } = whole(settings, options);
  const unfolded = new Map();

  /** A part of the form; on a telephone the figure should not lie a screen below it, so it starts closed there. */
  function folded(title, ...fields) {
    return h("details", { class: "part", open: unfolded.get(title) ?? innerWidth > 860, ontoggle: (e) => unfolded.set(title, e.target.open) },
      h("summary", {}, title), fields);
  }

  function form(changed) {
    const { s: full, row, span } = whole(s, options);
    Object.assign(s, full);
    return [
      doseFields({ s, row, span, options, changed }),
      folded("Who",
        select({ label: "How many people", name: "n", value: s.n, options: PEOPLE, change: (v) => changed({ n: v }) }),
        sameForAll(s, changed),
        several({ label: "Medicines taken", name: "with", value: list(s.with), options: changing(known, "drug"), change: (v) => changed({ with: v }) }),
        several({ label: "Conditions", name: "condition", value: list(s.condition), options: changing(known, "condition"), change: (v) => changed({ condition: v }) }),
        h("details", { class: "told", open: SAFETY.some((key) => s[key]) },
          h("summary", {}, "Told to the safety desk"),
          h("div", {},
            text({ label: "Diseases and history, separated by ;", name: "conditions", value: s.conditions, hint: "Such as: aneurysm; history of psychosis", change: (v) => changed({ conditions: v }) }),
            text({ label: "Other medicines, separated by ;", name: "medications", value: s.medications, hint: "Such as: midazolam; tranylcypromine", change: (v) => changed({ medications: v }) }),
            text({ label: "Blood pressure at the visit, mmHg", name: "pressure", value: s.pressure, hint: "Such as: 152/88", change: (v) => changed({ pressure: v }) })))),
      folded("What to look at",
        !list(s.dose).length && select({ label: "Model", name: "model", value: s.model ?? "", options: [["", "chosen for each effect"], ...row.models.map((m) => [m.id, m.title])], change: (v) => changed({ model: v }), hint: row.why }),
        timeShown(s, changed, SPANS)),
    ];
  }

  const asked = () => ({ ...question(s), until: s.until, ...(list(s.effect).length ? { effect: list(s.effect) } : {}) });

  /** What need not keep up with a moving slider: the safety desk, words and tables. */
  async function later(over, under, still) {
    const fill = async (place, answer, told) => {
      let found;
      try {
        found = told(await answer);
      } catch (error) {
        found = [refusal(error)];
      }
      if (still()) place.replaceChildren(...found.flat(Infinity).filter(Boolean));
    };
    await fill(over, post("/api/check", patient(s)), warned);
    await fill(under, post("/api/explore", { ...asked(), exposure: true }), told);
  }

  return desk(main, {
    page: "explore", path: "/api/explore", title: "Explore", settings: s, form, question: () => ({ ...asked(), numbers: false }),
    figures: [{ title: "Doses, concentrations and effects over time" }],
    later, rows: async () => curveRows(await post("/api/explore", asked())),
    report: async (answer) => {
      const { effect, ...body } = asked();
      save("kinetamine-report.html", await post("/api/report", { ...body, model: answer.models.map((m) => m.id) }), "text/html");
    },
  });
}

/** What the safety desk warns of; nothing found is no clearance. */
function warned({ findings: found, sources }) {
  const grave = found.filter((f) => f.severity !== "information");
  if (grave.length) return [findings(grave, sources)];
  return [h("p", { class: "faint" }, "The safety desk knows no rule against what it was told: that is not a clearance.")];
}

const minutes = (band) =>
  band ? `${number(band.q50)} (${number(band.q05)} to ${band.q95 === null ? "later than shown" : number(band.q95)})` : "–";

/** The figure in words and tables. */
function told({ data: { simulate: data, effects }, exposure, notes, models }) {
  const outputs = Object.entries(data.outputs);
  return [
    h("h2", {}, "How far to trust it"),
    ...outputs.map(([name, o]) => h("p", {}, grade(o.grade), " ", h("strong", {}, name), `, ${o.site}`, o.reasons?.length ? `: ${o.reasons.join("; ")}` : "")),
    exposure?.length > 0 && [
      h("h2", {}, "Exposure"),
      table(Object.keys(exposure[0]), exposure.map((r) => Object.values(r)), { caption: data.birth.population?.kind === "patient" ? "Of one typical patient" : "Median and 5 to 95 % of the people" }),
    ],
    effects?.length && [
      h("h2", {}, "Effects"),
      table(
        ["effect", "onset, min", "peak, min", "end, min", "lasts, min", "people", "grade"],
        effects.map((e) => [
          [h("strong", {}, e.effect), h("br"), h("small", {}, e.threshold)],
          minutes(e.onset_min), minutes(e.peak_min), minutes(e.offset_min), minutes(e.duration_min),
          `${number(100 * e.affected)} %`, grade(e.grade),
        ]),
        { caption: "Minutes after the first dose: median, and 5 to 95 % of those affected" },
      ),
    ],
    notes.length > 0 && h("details", {}, h("summary", {}, `What the models' authors and we warn of (${notes.length})`), h("ul", {}, notes.map((n) => h("li", {}, n)))),
    models.length > 0 && [
      h("h2", {}, "What this rests on"),
      h("ul", {}, models.map((m) => h("li", {}, h("a", { href: `#models?id=${m.id}` }, m.id), " ", source(m.source ?? "")))),
    ],
  ].flat().filter(Boolean);
}

/** Curves as rows for CSV. */
function curveRows({ data: { simulate: data } }) {
  return Object.entries(data.outputs).flatMap(([output, o]) =>
    data.time_h.map((time_h, i) => ({
      time_h, output, site: o.site, unit: o.unit, grade: o.grade,
      ...(o.values ? { value: o.values[i] } : Object.fromEntries(Object.entries(o.quantiles).map(([q, v]) => [`q${q}`, v[i]]))),
    })),
  );
}

/** What changes the curve by a known factor; what was only observed cannot be computed. */
const changing = (known, given) =>
  known.curve.filter((r) => r.given === given && r.status !== "observed").map((r) => [r.name, `${r.name} (${r.status})`]);
