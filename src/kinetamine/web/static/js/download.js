// What can be taken away: numbers, pictures, and the words that make the same view again.
import { h } from "./elements.js";

export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Rows of plain values as CSV, quoted where needed; text that a spreadsheet would run is kept text. */
export function csv(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    let text = typeof value === "object" ? JSON.stringify(value) : String(value);
    if (typeof value === "string" && /^[=+@\t\r-]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((r) => r.map(cell).join(",")).join("\n") + "\n";
}

/**
 * The row of buttons under a figure. `last()` gives the newest answer; `rows(answer)` its numbers for CSV, or a promise of them;
 * `report` an address that makes the report from the newest question, when there is one.
 */
export function downloads({ name, figures, last, rows, report }) {
  const said = h("span", { role: "status", class: "said" });
  const button = (label, work) =>
    h("button", {
      type: "button",
      onclick: async () => {
        if (!last()) return;
        try {
          said.textContent = (await work()) ?? `${label} saved`;
        } catch (error) {
          said.textContent = error.message;
        }
        setTimeout(() => (said.textContent = ""), 4000);
      },
    }, label);
  const each = (work) => Promise.all(figures().map(work));
  const copied = (what) => async () => {
    const text = last().reproduce[what];
    if (!text) return "This view has no such file";
    save(`${name}.${{ scenario: "toml", python: "py", command: "sh" }[what]}`, text + "\n", "text/plain");
  };
  const code = h("pre", {}, h("code", {}));
  const words = h(
    "details",
    {
      class: "reproduce",
      ontoggle: () => {
        if (words.open && last()) code.firstChild.textContent = Object.values(last().reproduce).filter(Boolean).join("\n\n");
      },
    },
    h("summary", {}, "The same by command line, Python and scenario file"),
    code,
  );
  return h(
    "div",
    { class: "downloads" },
    h("p", { class: "buttons" },
      button("CSV", async () => save(`${name}.csv`, csv(await rows(last())), "text/csv")),
      button("SVG", () => each(async (f, i) => save(`${name}${i ? "-" + (i + 1) : ""}.svg`, await f.svg(), "image/svg+xml"))),
      button("PNG", () => each(async (f, i) => save(`${name}${i ? "-" + (i + 1) : ""}.png`, await f.png()))),
      button("Scenario", copied("scenario")),
      button("Python", copied("python")),
      button("Command line", copied("command")),
      report && button("Report", report),
      button("Link", async () => {
        await new Promise((done) => setTimeout(done, 150)); // the address follows the sliders a little later
        try {
          await navigator.clipboard.writeText(location.href);
          return "Link copied";
        } catch {
          return `The link is in the address bar: ${location.href}`;
        }
      }),
      said),
    words,
  );
}
