// A dose as the pages ask for it: by sliders that start from what was published, or in words.
import { check, h, select, slider, text } from "./elements.js";

const ONCE = "once";
const PLANS = [ONCE, "daily for 1 week", "weekly for 4 weeks", "twice weekly for 4 weeks", "three times weekly for 2 weeks"];
export const list = (value) => (value === undefined ? [] : [].concat(value));
/** A step that a slider of this span can take: about two hundred of them. */
const stepOf = (low, high) => 10 ** Math.floor(Math.log10((high - low) / 40));

export const rowKey = (r) => `${r.people}|${r.route}|${r.drug}`;

/** What is written with ; between. */
export const parts = (words) => (words ?? "").split(";").map((p) => p.trim()).filter(Boolean);

/** The dose phrases of the settings. */
export function phrases(s) {
  if (list(s.dose).length) return list(s.dose);
  const over = s.over ? ` over ${s.over} min` : "";
  const plan = s.plan && s.plan !== ONCE ? `${over ? "," : ""} ${s.plan}` : "";
  return [`${s.amount ?? ""} ${s.unit} ${s.drug === "racemate" ? "racemic ketamine" : s.drug} ${s.route}${over}${plan}`];
}

/** Settings made whole: what the address leaves out is taken from the published doses of the route. */
export function whole(settings, options) {
  const s = { people: "adults", route: "nasal", drug: "S-ketamine", n: "1000", plan: ONCE, ...settings };
  const fitting = options.routes.filter((r) => r.people === s.people && r.route === s.route);
  const row = fitting.find((r) => r.drug === s.drug) ?? fitting[0] ?? options.routes[0];
  Object.assign(s, { people: row.people, route: row.route, drug: row.drug });
  const span = row.amounts.find((a) => a.unit === s.unit) ?? row.amounts[0];
  s.unit ??= span?.unit ?? "mg";
  s.amount ??= String(span?.usual ?? "");
  if (s.over === undefined && s.route === "iv") s.over = String(span?.over_min ?? "");
  s.until ??= s.plan === ONCE ? "4 h" : "28 d";
  return { s, row, span };
}

/** The question that the settings ask. */
export function question(s) {
  const fixed = {};
  if (s.weight) fixed.weight = Number(s.weight);
  if (s.age) fixed.age = Number(s.age);
  return {
    doses: phrases(s),
    ...(s.model ? { model: s.model.split(" + ") } : {}),
    ...(s.n === "1" ? {} : { patients: Number(s.n), seed: Number(s.seed ?? 1) }),
    ...(Object.keys(fixed).length ? { set: fixed } : {}),
    ...(s.people === "children" && !s.age && s.n !== "1" ? { age: "1-17" } : {}),
    ...(list(s.with).length ? { with: list(s.with) } : {}),
    ...(list(s.condition).length ? { condition: list(s.condition) } : {}),
  };
}

/** What is given: a published regimen, sliders, or words. `changed(settings, anew)` hears of every change. */
export function doseFields({ s, row, span, options, changed }) {
  const custom = list(s.dose).length > 0;
  const people = [...new Set(options.routes.map((r) => r.people))];
  const same = options.routes.filter((r) => r.people === s.people);
  const units = row.amounts.map((a) => a.unit);
  const again = (more) => changed({ model: null, amount: null, unit: null, over: null, dose: null, ...more }, true);
  const dose = custom
    ? text({
        label: "Doses, separated by ;", name: "dose", value: list(s.dose).join("; "),
        hint: "Such as: 56 mg esketamine nasal twice weekly for 4 weeks",
        change: (v) => {
          const written = parts(v);
          changed({ dose: written.length ? written : [" "] });
        },
      })
    : [
        slider({
          label: "Dose", name: "amount", unit: s.unit, value: s.amount,
          min: span?.low ?? 0, max: span?.high ?? 200, step: stepOf(span?.low ?? 0, span?.high ?? 200),
          hint: span?.n ? null : "No published regimen of this: no usual dose to start from",
          change: (v) => changed({ amount: v === null ? "" : String(v) }),
        }),
        units.length > 1 && select({ label: "Unit", name: "unit", value: s.unit, options: units.map((u) => [u, u]), change: (v) => changed({ unit: v, amount: null, over: null }, true) }),
        s.route === "iv" &&
          slider({ label: "Infused over", name: "over", unit: "min", min: 1, max: 120, step: 1, value: s.over ?? "", change: (v) => changed({ over: v === null ? "" : String(v) }) }),
        select({ label: "How often", name: "plan", value: s.plan, options: PLANS.map((p) => [p, p]), change: (v) => changed({ plan: v, until: null }, true) }),
      ];
  return h("fieldset", {},
    h("legend", {}, "What is given"),
    select({
      label: "Start from a published regimen", name: "regimen", value: "",
      options: [["", "–"], ...byUse(options.regimens)],
      change: (id) => {
        const r = options.regimens.find((x) => x.id === id);
        if (!r) return;
        const kids = r.population.startsWith("children");
        again({ people: kids ? "children" : "adults", dose: [...r.doses], model: null, until: spanOf(r.doses), weight: r.patient.weight && String(r.patient.weight), age: r.patient.age && String(r.patient.age) });
      },
    }),
    custom
      ? h("button", { type: "button", onclick: () => again({}) }, "Back to the sliders")
      : [
          people.length > 1 && select({ label: "People", name: "people", value: s.people, options: people.map((p) => [p, p]), change: (v) => again({ people: v, age: null, weight: null }) }),
          select({ label: "Route and drug", name: "route", value: rowKey(row), options: same.map((r) => [rowKey(r), `${r.route}, ${r.drug}`]), change: (v) => { const [people, route, drug] = v.split("|"); again({ people, route, drug }); } }),
        ],
    dose,
    !custom && h("button", { type: "button", onclick: () => changed({ dose: phrases(s) }, true) }, "Write the doses in words"),
  );
}

/** Weight and age: as they vary in the people, or the same for all. `changed` as above. */
export function sameForAll(s, changed) {
  const one = (key, label, unit, min, max, first) =>
    h("div", {},
      check({ label: `${label}: the same for all`, name: `fix-${key}`, value: s[key], change: (on) => changed({ [key]: on ? String(first) : null }, true) }),
      s[key] && slider({ label, name: key, unit, min, max, step: 1, value: s[key], change: (v) => changed({ [key]: v === null ? "" : String(v) }) }));
  return [one("weight", "Weight", "kg", 3, 160, 70), one("age", "Age", "years", 1, 90, 40)];
}

/** How long, and on which axis: `spans` to choose from. */
export function timeShown(s, changed, spans) {
  return [
    select({ label: "Time shown", name: "until", value: s.until, options: [...new Set([...spans, s.until])].map((x) => [x, x]), change: (v) => changed({ until: v }) }),
    check({ label: "Logarithmic concentrations", name: "log", value: s.log, change: (on) => changed({ log: on ? "1" : null }) }),
  ];
}

function byUse(regimens) {
  const groups = new Map();
  for (const r of regimens) groups.set(r.use, [...(groups.get(r.use) ?? []), [r.id, r.title]]);
  return [...groups].map(([group, options]) => ({ group, options }));
}

const spanOf = (doses) => (/week|daily|every|at \d+ d|for \d{2,} h/.test(doses.join(" ")) ? "28 d" : "8 h");
