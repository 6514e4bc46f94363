// What is often said about ketamine, each statement with the evidence for and against it.
import { get } from "../api.js";
import { fresh, h, number, read, refill, refusal, select, source, table, text } from "../elements.js";
import { write } from "../state.js";

/** Which way evidence points, in the order of the table. */
const DIRECTIONS = { supports: "for", contradicts: "against", limits: "limits it", context: "background" };
const slug = (words) => words.replace(/\W+/g, "-");

export async function show(main, settings) {
  const s = { ...settings };
  const all = await get("/api/claims?compute=false");
  const verdicts = [...new Set(all.map((c) => c.verdict))];
  const count = h("p", { role: "status", class: "faint" });
  const items = all.map((claim) => ({ claim, words: searched(claim), item: statement(claim) }));

  function statement(claim) {
    const body = h("div", { class: "body" });
    const details = h("details", { id: claim.id, open: s.id === claim.id },
      h("summary", {}, h("span", { class: `verdict ${slug(claim.verdict)}` }, claim.verdict), h("strong", {}, claim.statement)),
      body);
    const fill = () => body.childElementCount || body.append(...told(claim));
    if (details.open) fill();
    details.addEventListener("toggle", () => {
      if (details.open) {
        fill();
        for (const { item } of items) if (item !== details.parentElement) item.firstChild.open = false;
        s.id = claim.id;
      } else if (s.id === claim.id) {
        delete s.id;
      }
      write("claims", s);
    });
    return h("li", {}, details);
  }

  function filter(more) {
    Object.assign(s, more);
    write("claims", s);
    const wanted = (s.text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { claim, words, item } of items) {
      const fits = (!s.verdict || claim.verdict === s.verdict) && wanted.every((w) => words.includes(w));
      item.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown ? `${shown} of ${all.length} statements` : "No statement fits; fewer words or another verdict may.";
  }

  refill(main,
    h("h1", {}, "Claims"),
    h("p", {}, "What is often said about ketamine, each statement beside the published evidence for and against it, and where possible beside a number computed here."),
    h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() },
      text({ label: "Words in a statement or its evidence", name: "text", value: s.text, change: (v) => filter({ text: v }) }),
      select({ label: "Verdict", name: "verdict", value: s.verdict ?? "", options: [["", "all"], ...verdicts.map((v) => [v, v])], change: (v) => filter({ verdict: v }) })),
    count,
    h("ul", { class: "statements" }, items.map(({ item }) => item)));
  filter({});
  if (s.id) document.getElementById(s.id)?.scrollIntoView({ block: "center" });
}

const searched = (c) => [c.id, c.statement, c.verdict, ...c.evidence.flatMap((e) => [e.finding, e.source])].join(" ").toLowerCase();

/** One statement: what speaks for and against it, and what the simulator computes. */
function told(claim) {
  const order = Object.keys(DIRECTIONS);
  const rows = [...claim.evidence].sort((a, b) => order.indexOf(a.direction) - order.indexOf(b.direction));
  return [
    h("p", { class: "faint" }, `Statement ${claim.id}; `, h("a", { href: `#claims?id=${claim.id}` }, "link to it")),
    table(
      ["for or against", "what was found", "where", "how it was read"],
      rows.map((e) => [h("strong", {}, DIRECTIONS[e.direction] ?? e.direction), e.finding, source(e.source), read(e.seen)]),
      { caption: "Published evidence", wide: [1, 2] },
    ),
    claim.computable && own(claim.id),
  ].filter(Boolean);
}

/** The simulator's number: some take seconds, so each is computed when it is asked for. */
function own(id) {
  const heading = fresh("own");
  const place = h("div", { class: "own", "aria-live": "polite" });
  const ask = h("button", {
    type: "button",
    onclick: async () => {
      place.replaceChildren(h("p", { class: "wait" }, "Computing …"));
      try {
        const [{ computed }] = await get(`/api/claims?id=${encodeURIComponent(id)}&compute=true`);
        place.replaceChildren(
          h("p", {}, computed.text),
          h("p", {}, "In one number: ", h("strong", {}, `${number(computed.value)} ${computed.unit}`)),
          h("p", { class: "faint" }, "The same on the command line: ", h("code", {}, computed.command)));
      } catch (error) {
        place.replaceChildren(refusal(error), ask);
      }
    },
  }, "Compute it");
  place.append(h("p", {}, ask));
  return h("section", { "aria-labelledby": heading }, h("h2", { id: heading }, "What the models say"), place);
}
