// Questions to the server. A refusal is an Error with `faults`: where, given, expected, try.

export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.kind = error.kind;
    this.faults = error.faults ?? [];
  }
}

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refused(0, { kind: "Unreachable", message: "The server does not answer. Is kinetamine serve still running?" });
  }
  if (response.ok) return response.headers.get("content-type")?.includes("json") ? response.json() : response.text();
  let error;
  try {
    ({ error } = await response.json());
  } catch {
    error = { kind: "Failed", message: `The server answered ${response.status} ${response.statusText}` };
  }
  throw new Refused(response.status, error);
}

const known = new Map();

/** A catalogue; asked for once. */
export function get(path) {
  if (!known.has(path)) {
    const asked = answer(fetch(path));
    known.set(path, asked);
    asked.catch(() => known.delete(path));
  }
  return known.get(path);
}

/** A computation. */
export function post(path, body) {
  return answer(
    fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
}

/**
 * Ask again and again while somebody moves a slider: one question on its way at a time, then the newest one.
 * What was asked in between is never sent.
 */
export class Latest {
  constructor(path, show, fail) {
    Object.assign(this, { path, show, fail, busy: false, next: null, stopped: false });
  }

  async ask(body, mark) {
    this.next = { body, mark };
    if (this.busy) return;
    this.busy = true;
    while (this.next && !this.stopped) {
      const { body, mark } = this.next;
      this.next = null;
      try {
        const found = await post(this.path, body);
        if (!this.stopped) await this.show(found, mark);
      } catch (error) {
        if (!this.stopped && !this.next) this.fail(error);
      }
    }
    this.busy = false;
  }

  stop() {
    this.stopped = true;
  }
}
