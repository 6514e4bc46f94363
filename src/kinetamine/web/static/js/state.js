// What is shown lives in the address, after the '#': a link is the saved file, and nothing is stored anywhere else.

/** The page's name and its settings, as the address has them: name → text, or list of texts when repeated. */
export function read() {
  const [page, query = ""] = location.hash.slice(1).split("?");
  const settings = {};
  for (const [key, value] of new URLSearchParams(query)) {
    settings[key] = key in settings ? [].concat(settings[key], value) : value;
  }
  return { page: page || "explore", settings };
}

/** The address of a page with these settings; what is undefined, null, "" or an empty list is left out. */
export function address(page, settings) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(settings)) {
    for (const one of [].concat(value ?? [])) if (one !== "") query.append(key, one);
  }
  const text = query.toString();
  return `#${page}${text ? "?" + text : ""}`;
}

let waiting = 0;

/** Put the settings into the address, without a new entry in the history for each step of a slider. */
export function write(page, settings) {
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, "", address(page, settings)), 120);
}

/** A write that still waits is not to land on the page that comes next. */
export function forget() {
  clearTimeout(waiting);
}
