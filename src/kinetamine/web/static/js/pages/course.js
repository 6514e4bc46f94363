// Weeks and months of a group of patients: sessions, rules of the visits, scores, response, relapse.
import { get } from "../api.js";
import { desk } from "../desk.js";
import { list } from "../doses.js";
import { check, grade, h, lines, number, select, slider, source, table, text } from "../elements.js";

const PEOPLE = [["500", "500"], ["1000", "1,000"], ["5000", "5,000"]];
const MOST_WEEKS = 104;
/** What surrounds the treatment, in words. */
const SETTINGS = {
  "open label": "Everyone knows what is given (open label)",
  hospital: "In hospital",
  "new oral drug": "With a new oral antidepressant",
  refractory: "Patients in whom much has failed before",
};
/** Switches of the course model; those that go beyond on and off have a slider. */
const SWITCHES = {
  naltrexone: "With naltrexone",
  rapamycin: "With rapamycin before each session",
};
const SLIDERS = {
  drug_effect: ["Strength of the drug's effect", "1: as in the trials; 0: none"],
  expectancy: ["Strength of expectation", "1: as in the trials"],
};

export async function show(main, settings) {
  const options = await get("/api/options");
  const starts = [
    ...options.courses.map((c) => ({ ...c, doses: [].concat(c.doses) })),
    ...options.regimens.filter((r) => r.use === "depression").map((r) => ({ ...r, rules: [] })),
  ];
  const s = { n: "1000", ...settings };
  const begin = (c) => ({ dose: [...c.doses], rule: [...c.rules], weeks: String(c.weeks ?? 12), relapse: c.relapse ?? null, setting: c.setting ? [].concat(c.setting) : null });
  if (!list(s.dose).length) Object.assign(s, begin(starts[0]), settings);
  for (const key of Object.keys(s)) if (s[key] === null) delete s[key];
  const set = () => Object.fromEntries(list(s.set).map((t) => t.split("=")).filter(([k, v]) => k && v !== undefined && v !== ""));

  // what is unfolded stays so when the form is made anew
  const unfolded = new Set(s.model || s.relapse || s.remission ? ["Model and definitions"] : []);
  const fold = (kind, title, ...content) => {
    const details = h("details", { class: kind, open: unfolded.has(title), ontoggle: () => (details.open ? unfolded.add(title) : unfolded.delete(title)) },
      h("summary", {}, title), content);
    return details;
  };

  function form(changed) {
    const now = set();
    const model = options.course_models.find((m) => m.id === (s.model ?? options.course_models[0].id)) ?? options.course_models[0];
    const turn = (name, value) => {
      const next = { ...set() };
      if (value === null || Number(value) === model.switches[name]) delete next[name];
      else next[name] = value;
      changed({ set: Object.entries(next).map(([k, v]) => `${k}=${v}`) });
    };
    return [
      h("fieldset", {},
        h("legend", {}, "What is given"),
        select({ label: "Start from", name: "start", value: "", options: [["", "–"], ...starts.map((c) => [c.id, c.title])], change: (id) => { const c = starts.find((x) => x.id === id); if (c) changed(begin(c), true); } }),
        lines({ label: "Sessions, one phrase a line", name: "dose", value: list(s.dose), rows: 4, hint: "Such as: 84 mg esketamine nasal twice weekly for 4 weeks", change: (v) => changed({ dose: v.length ? v : [" "] }) }),
        lines({ label: "Rules of the visits, one a line", name: "rule", value: list(s.rule), rows: 4, change: (v) => changed({ rule: v }) }),
        fold("several", "Add a rule", h("div", { class: "phrases" },
          options.course_rules.map((rule, i) => h("button", { type: "button", name: `add-${i}`, onclick: () => changed({ rule: [...list(s.rule), rule] }, true) }, rule)))),
        slider({ label: "Followed for", name: "weeks", unit: "weeks", min: 1, max: MOST_WEEKS, step: 1, value: s.weeks, change: (v) => changed({ weeks: v === null ? "" : String(v) }) }),
      ),
      h("fieldset", {},
        h("legend", {}, "Who, and what else"),
        select({ label: "How many patients", name: "n", value: s.n, options: PEOPLE, change: (v) => changed({ n: v }) }),
        check({ label: "Compare with the same sessions without the drug", name: "without", value: s.without, change: (on) => changed({ without: on ? "1" : null }) }),
        options.course_settings.map((name) =>
          check({ label: SETTINGS[name] ?? name, name, value: list(s.setting).includes(name), change: (on) => changed({ setting: list(s.setting).filter((x) => x !== name).concat(on ? name : []) }) })),
        Object.entries(SWITCHES).filter(([name]) => name in model.switches).map(([name, label]) =>
          check({ label, name, value: Number(now[name] ?? model.switches[name]), change: (on) => turn(name, on ? "1" : "0") })),
        Object.entries(SLIDERS).filter(([name]) => name in model.switches).map(([name, [label, hint]]) =>
          slider({ label, name, hint, min: 0, max: 2, step: 0.1, value: now[name] ?? model.switches[name], change: (v) => turn(name, v === null ? null : String(v)) })),
      ),
      fold("more", "Model and definitions",
        select({ label: "Course model", name: "model", value: model.id, options: options.course_models.map((m) => [m.id, m.title]), change: (v) => changed({ model: v === options.course_models[0].id ? null : v }, true) }),
        text({ label: "What counts as relapse", name: "relapse", value: s.relapse, hint: "Such as: relapse when MADRS >= 22 at 2 visits in a row after response", change: (v) => changed({ relapse: v.trim() }) }),
        text({ label: "Highest score of a remission", name: "remission", value: s.remission, hint: "Empty: as in the trials of esketamine", change: (v) => changed({ remission: v.trim() }) })),
    ];
  }

  return desk(main, {
    page: "course", path: "/api/course", title: "Course", settings: s, form,
    lead: [h("p", { class: "caveat" }, h("strong", {}, options.course_caveat))],
    question: () => ({
      doses: list(s.dose), rule: list(s.rule), patients: Number(s.n), seed: Number(s.seed ?? 1),
      ...(s.weeks ? { weeks: Number(s.weeks) } : {}),
      set: Object.fromEntries(Object.entries(set()).map(([k, v]) => [k, Number(v)])),
      ...(list(s.setting).length ? { setting: list(s.setting) } : {}),
      ...(s.model ? { model: s.model } : {}), ...(s.relapse ? { relapse: s.relapse } : {}),
      ...(s.remission ? { remission: Number(s.remission) } : {}), ...(s.without ? { without_drug: true } : {}),
    }),
    figures: [
      { key: "course", title: "Mean score and share in response over the weeks" },
      { key: "survival", title: "Share still free of relapse" },
    ],
    above, told, rows,
  });
}

/** Endpoints whose names say too little. */
const WORDS = { left: "left before the end", "relapsed of those at risk": "relapsed, of those who had got well", "score at the end": "depression score (MADRS) at the end" };
/** Endpoints that are no shares. */
const COUNTS = /^(score|sessions|boosters|clinic|median)/;
const as = (name, x) => (x === null || x === undefined ? "–" : COUNTS.test(name) ? number(x) : `${number(100 * x, 2)} %`);
const banded = (name, e) => (e ? [as(name, e.value), e.low !== undefined && h("small", {}, ` (${as(name, e.low)} to ${as(name, e.high)})`)] : "–");

function above({ data }) {
  const { summary } = data;
  const day = data.visits.day.at(-1);
  return h("p", {}, `After ${number(day / 7)} weeks `, h("strong", {}, `${as("response", summary["response at the end"].value)} of the group are in response`), " (score halved or better)",
    `, with ${number(summary.sessions.value)} sessions each on average; `,
    summary["relapsed of those at risk"].value === null ? "nobody was at risk of a relapse. " : `${as("", summary["relapsed of those at risk"].value)} of those who had got well relapsed on the way. `, grade(data.grade));
}

function told({ data, notes = [] }) {
  const other = data.without_drug;
  const names = Object.keys(data.summary);
  const v = data.visits;
  const every = Math.max(1, Math.ceil((v.day.length - 1) / 13));
  const kept = v.day.map((_, i) => i).filter((i) => i % every === 0 || i === v.day.length - 1);
  return [
    h("h2", {}, "What comes of it"),
    table(["", "with the drug", ...(other ? ["without the drug"] : [])],
      names.map((name) => [WORDS[name] ?? name, banded(name, data.summary[name]), ...(other ? [banded(name, other.summary[name])] : [])]),
      { caption: "In brackets: 5 to 95 % of what the group's outcome may be, from uncertain parameters", numeric: [1, 2] }),
    h("h2", {}, "Scores at visits"),
    table(["week", "mean score", "patients", "in response", "in remission"],
      kept.map((i) => [number(v.day[i] / 7), [number(v.mean[i]), v.mean_low && h("small", {}, ` (${number(v.mean_low[i])} to ${number(v.mean_high[i])})`)], `${number(v.p05[i], 2)} to ${number(v.p95[i], 2)}`, as("", v.response[i]), as("", v.remission[i])]),
      { caption: "MADRS, 0 to 60, less is better; brackets: uncertainty of the group; patients: 5 to 95 % of them", numeric: [0, 1, 2, 3, 4] }),
    h("h2", {}, "How far to trust it"),
    h("p", {}, grade(data.grade), ` ${data.relapse}.`),
    h("ul", {}, [...new Set([...data.notes, ...notes])].filter((n) => n !== data.caveat).map((n) => h("li", {}, n))),
    data.sources?.length > 0 && [h("h2", {}, "Sources"), h("ul", {}, data.sources.map((x) => h("li", { class: "source" }, source(x))))],
  ];
}

function rows({ data }) {
  const arm = (name, { visits }) => visits.day.map((_, i) => ({ arm: name, ...Object.fromEntries(Object.entries(visits).map(([key, values]) => [key, values[i]])) }));
  return [...arm("with the drug", data), ...(data.without_drug ? arm("without the drug", data.without_drug) : [])];
}
