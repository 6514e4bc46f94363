// How long after a dose a test is positive: computed where that can be done, and beside it what was observed.
import { get } from "../api.js";
import { desk } from "../desk.js";
import { doseFields, phrases, whole } from "../doses.js";
import { grade, h, number, read, select, source, table, text } from "../elements.js";

const PEOPLE = [["200", "200"], ["1000", "1,000"], ["5000", "5,000"]];
/** When the table looks, hours after the last dose. */
const LOOKS = { "12 h": 12, "1 day": 24, "2 days": 48, "3 days": 72, "7 days": 168 };

export async function show(main, settings) {
  const options = await get("/api/options");
  const { matrices, observed_only, assays, analytes } = options.detection;
  const adults = {
    routes: options.routes.filter((r) => r.people === "adults"),
    regimens: options.regimens.filter((r) => !r.population.startsWith("children")),
  };
  const s = { matrix: matrices[0], ...whole(settings, adults).s };

  function form(changed) {
    const { s: full, row, span } = whole(s, adults);
    Object.assign(s, full);
    const here = assays[s.matrix] ?? [];
    const usual = here.filter((a) => a.usual).map((a) => a.id).join(", ");
    return [
      doseFields({ s, row, span, options: adults, changed }),
      h("fieldset", {},
        h("legend", {}, "The test"),
        select({ label: "What is tested", name: "matrix", value: s.matrix, options: matrices.map((m) => [m, m]), hint: observed_only[s.matrix] && `Not computed: ${observed_only[s.matrix]}`, change: (v) => changed({ matrix: v, assay: null, creatinine: null }, true) }),
        select({ label: "Substance", name: "analyte", value: s.analyte ?? "", options: [["", "all"], ...analytes.map((a) => [a, a])], change: (v) => changed({ analyte: v }) }),
        select({ label: "Test or panel", name: "assay", value: s.assay ?? "", options: [["", usual ? `the usual ones: ${usual}` : "the usual ones"], ...here.map((a) => [a.id, `${a.id}: ${a.method}`])], change: (v) => changed({ assay: v, cutoff: null }, true) }),
        text({ label: "A cut-off of your own", name: "cutoff", value: s.cutoff, hint: "The concentration from which a test says positive, such as 50 ng/mL", change: (v) => changed({ cutoff: v.trim() }) }),
        s.matrix === "urine" && text({ label: "Creatinine of the sample", name: "creatinine", value: s.creatinine, hint: "Such as 20 mg/dL; little of it means much water", change: (v) => changed({ creatinine: v.trim() }) }),
      ),
      h("fieldset", {},
        h("legend", {}, "Who"),
        select({ label: "How many people", name: "n", value: s.n, options: PEOPLE, change: (v) => changed({ n: v }) })),
    ];
  }

  return desk(main, {
    page: "detect", path: "/api/detect", title: "Detect", settings: s, form,
    question: () => ({
      doses: phrases(s), matrix: s.matrix, patients: Number(s.n), seed: Number(s.seed ?? 1),
      ...(s.analyte ? { analyte: s.analyte } : {}), ...(s.assay ? { assay: s.assay } : {}),
      ...(s.cutoff ? { cutoff: s.cutoff } : {}), ...(s.creatinine ? { creatinine: s.creatinine } : {}),
    }),
    figures: [{ title: "Probability of a positive test over time after the last dose" }],
    above, told, rows,
  });
}

const hours = (h) => (h >= 48 ? `${number(h / 24, 2)} days` : `${number(h, 2)} h`);
/** Median and 5 to 95 % in one unit, the median's. */
function band(w) {
  if (!w) return "–";
  const [middle, low, high] = ["0.5", "0.05", "0.95"].map((q) => number(w["0.5"] >= 48 ? w[q] / 24 : w[q], 2));
  return [h("strong", {}, middle), ` (${low} to ${high}) ${w["0.5"] >= 48 ? "days" : "h"}`];
}
const at = (d, h) => {
  if (!d.probability) return "–";
  const i = d.after_last_dose_h.findIndex((t) => t >= h);
  if (i < 0) return "0 %";
  const [t0, t1] = [d.after_last_dose_h[Math.max(i - 1, 0)], d.after_last_dose_h[i]];
  const [p0, p1] = [d.probability[Math.max(i - 1, 0)], d.probability[i]];
  return `${number(100 * (t1 > t0 ? p0 + ((p1 - p0) * (h - t0)) / (t1 - t0) : p1), 2)} %`;
};

/** The answer in one sentence for each line of the figure. */
function above({ data }) {
  if (data.answer) return h("p", {}, h("strong", {}, data.answer));
  const found = data.detections.filter((d) => d.probability && d.window_h);
  if (!found.length) return h("p", {}, "Nothing can be computed for this; what was observed is below.");
  const last = found.reduce((a, b) => (b.window_h["0.5"] > a.window_h["0.5"] ? b : a));
  return h("p", {}, "Found longest: ", h("strong", {}, `${last.analyte} in ${data.matrix}`), ` by ${last.method || last.assay} (cut-off ${number(last.cut_off.value)} ${last.cut_off.unit}). Half of the people are positive for ${hours(last.window_h["0.5"])} after the last dose or longer, most for ${hours(last.window_h["0.05"])} to ${hours(last.window_h["0.95"])}. `, grade(last.grade));
}

function told({ data, notes = [] }) {
  const windows = data.observed.filter((f) => f.finding.startsWith("detected for"));
  const others = data.observed.filter((f) => !windows.includes(f));
  const remarks = notes.filter((n) => n !== data.answer);
  const reasons = new Map();
  for (const d of data.detections) for (const why of d.reasons) reasons.set(why, [...(reasons.get(why) ?? []), `${d.analyte} (${d.assay})`]);
  return [
    data.detections.length > 0 && [
      h("h2", {}, "How long a test is positive"),
      table(
        ["test", "substance", "cut-off", "positive for", ...Object.keys(LOOKS), "grade"],
        data.detections.map((d) => [[d.assay, h("br"), h("small", {}, d.method)], d.analyte, `${number(d.cut_off.value)} ${d.cut_off.unit}`, band(d.window_h), ...Object.values(LOOKS).map((h) => at(d, h)), grade(d.grade)]),
        { caption: "Computed: time after the last dose, median and 5 to 95 % of the people; share of the people positive at a time", numeric: [2, 3, 4, 5, 6, 7, 8] },
      ),
      h("h2", {}, "How far to trust it"),
      h("ul", {}, [...reasons].map(([why, names]) => h("li", {}, why, " ", h("small", {}, names.length === data.detections.length ? "(all)" : `(${names.join(", ")})`)))),
    ],
    remarks.length > 0 && h("ul", {}, remarks.map((n) => h("li", {}, n))),
    data.observed.length > 0 && [
      h("h2", {}, "Observed in people, not computed"),
      windows.length > 0 && seen(windows, "How long it was found"),
      others.length > 0 && h("details", { class: "several" }, h("summary", {}, `${others.length} other observations`), h("div", {}, seen(others, "Concentrations and the like"))),
    ],
  ];
}

const seen = (facts, caption) =>
  table(
    ["substance", "what was found", "in whom", "where", "how it was read"],
    facts.map((f) => [
      f.analyte,
      [f.finding, f.limit && ` (limit ${f.limit})`, f.note && [h("br"), h("small", {}, f.note)]],
      [f.given, f.n && `n ${f.n}`].filter(Boolean).join("; ") || "–",
      h("small", {}, source(f.citation ? { citation: f.citation, url: f.url } : f.source)), read(f.seen),
    ]),
    { caption, wide: [1, 3] },
  );

const rows = ({ data }) =>
  data.detections.filter((d) => d.probability).flatMap((d) =>
    d.after_last_dose_h.map((after_last_dose_h, i) => ({
      matrix: data.matrix, assay: d.assay, analyte: d.analyte, cut_off_ng_ml: d.cut_off.value, after_last_dose_h,
      probability_positive: d.probability[i], grade: d.grade,
    })));
