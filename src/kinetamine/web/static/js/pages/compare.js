// The same dose through every published model that applies: where they agree, and how far they are apart.
import { get } from "../api.js";
import { desk } from "../desk.js";
import { doseFields, list, question, sameForAll, timeShown, whole } from "../doses.js";
import { grade, h, number, select, several, source, table } from "../elements.js";

const SPANS = ["1 h", "2 h", "4 h", "8 h", "24 h", "3 d", "7 d", "28 d"];
const PEOPLE = [["1", "one typical patient"], ["200", "200"], ["1000", "1,000"]];

export async function show(main, settings) {
  const options = await get("/api/options");
  const s = whole({ n: "1", route: "iv", drug: "racemate", ...settings }, options).s;

  function form(changed) {
    const { s: full, row, span } = whole(s, options);
    Object.assign(s, full);
    // models are compared, not chosen: a regimen's own model is left out
    const dosed = (more, anew) => changed({ ...more, model: null, ...(anew && !more.plan ? { analyte: null } : {}) }, anew);
    return [
      doseFields({ s, row, span, options, changed: dosed }),
      h("fieldset", {},
        h("legend", {}, "Who"),
        select({ label: "How many people", name: "n", value: s.n, options: PEOPLE, hint: "Bands only where a model's spread between people was published", change: (v) => changed({ n: v }) }),
        sameForAll(s, changed)),
      h("fieldset", {},
        h("legend", {}, "What to look at"),
        several({ label: "Substances", name: "analyte", value: list(s.analyte), options: options.analytes.map((a) => [a, a]), change: (v) => changed({ analyte: v }) }),
        timeShown(s, changed, SPANS)),
    ];
  }

  return desk(main, {
    page: "compare", path: "/api/compare", title: "Compare models", settings: s, form,
    question: () => {
      const { doses, patients, seed, set, age } = question(s);
      return {
        doses, until: s.until, ...(patients ? { patients, seed } : {}), ...(set ? { set } : {}), ...(age ? { age } : {}),
        ...(list(s.analyte).length ? { analyte: list(s.analyte) } : {}),
      };
    },
    figures: [{ title: "Concentrations over time by model, blood from arteries and veins apart" }],
    above, told, rows,
  });
}

const times = (ratio) => (ratio === null ? "many times" : `${number(ratio)} times`);

/** How far the models are apart, in words. */
function above({ data }) {
  return data.spread.length
    ? data.spread.map((one) => h("p", {}, h("strong", {}, `${one.analyte} in ${one.site}`), `, ${one.models} models: the highest peak is ${times(one.cmax)} the lowest, the largest area under the curve ${times(one.auc)} the smallest.`))
    : h("p", {}, "One model each: nothing to compare with.");
}

function told({ data, notes = [] }) {
  const places = [...new Set(data.rows.map((r) => `${r.analyte} in ${r.site}`))];
  const reasons = new Map();
  for (const r of data.rows) for (const why of r.reasons) reasons.set(why, [...(reasons.get(why) ?? []), r.model]);
  const far = (why) => /^(has no route|incomplete)/.test(why);
  const refused = Object.entries(data.refused);
  const item = ([name, why]) => h("li", {}, h("strong", {}, name), `: ${why}`);
  return [
    h("h2", {}, data.n > 1 ? "Medians" : "Numbers"),
    places.map((place) => {
      const here = data.rows.filter((r) => `${r.analyte} in ${r.site}` === place);
      return table(
        ["model", `peak, ${here[0].unit}`, "time of the peak, h", `area, ${here[0].unit} × h`, "half-life, h", "grade", "paper"],
        here.map((r) => [linked(r), number(r.cmax), number(r.tmax_h), number(r.auc), number(r.half_life_h), grade(r.grade), papers(r)]),
        { caption: place, numeric: [1, 2, 3, 4] },
      );
    }),
    h("p", { class: "faint" }, `Area: under the curve until the end of the time shown, ${number(data.rows[0].time_h.at(-1))} h.`),
    h("h2", {}, "How far to trust it"),
    h("ul", {}, [...reasons].map(([why, names]) => h("li", {}, why, " ", h("small", {}, `(${[...new Set(names)].join(", ")})`)))),
    notes.length > 0 && h("ul", {}, notes.map((n) => h("li", {}, n))),
    refused.length > 0 && [
      h("h2", {}, "Models that cannot answer"),
      h("ul", {}, refused.filter(([, why]) => !far(why)).map(item)),
      h("details", { class: "several" },
        h("summary", {}, `${refused.filter(([, why]) => far(why)).length} without this route, or with numbers missing`),
        h("div", {}, h("ul", {}, refused.filter(([, why]) => far(why)).map(item)))),
    ],
    h("h2", {}, "Sources"),
    h("ul", {}, [...new Set(data.rows.flatMap((r) => r.source.split(" | ")))].map((x) => h("li", { class: "source" }, source(x)))),
  ];
}

const linked = (r) => r.model.split(" + ").map((id, i) => [i > 0 && " + ", h("a", { href: `#models?id=${id}` }, id)]);

/** The papers of a model by first author and year, in full under Sources. */
const papers = (r) => r.source.split(" | ").map((paper, i) => {
  const [, author = paper, year = ""] = /^([^\s,]+).*?\b((?:19|20)\d\d)\b/.exec(paper) ?? [];
  const url = /https?:\/\/\S+/.exec(paper)?.[0];
  return [i > 0 && ", ", url ? h("a", { href: url, rel: "noreferrer noopener", target: "_blank", title: paper }, `${author} ${year}`) : `${author} ${year}`];
});

const rows = ({ data }) =>
  data.rows.flatMap((r) => r.time_h.map((time_h, i) => ({
    model: r.model, analyte: r.analyte, site: r.site, unit: r.unit, grade: r.grade, time_h,
    low: r.low?.[i], middle: r.middle[i], high: r.high?.[i],
  })));
