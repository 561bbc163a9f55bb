// The way to the edge: questions, orders, and its events as they happen. Nothing else of the page speaks to the network.

const KEPT = "throughline-token";

/** What the edge refused, and what it says to do. */
export class Refused extends Error {
  constructor(status, error, hint) {
    super(hint ? `${error}; ${hint}` : error);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEPT) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEPT, text) : sessionStorage.removeItem(KEPT)),
};

function headers(more = {}) {
  return token.get() ? { ...more, Authorization: `Bearer ${token.get()}` } : more;
}

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? `the edge answered ${response.status}`, body.hint);
  return body;
}

/** JSON of a question. */
export async function get(path, signal) {
  return answer(await fetch(path, { headers: headers(), signal, cache: "no-store" }));
}

/** An order, with its reason. */
export async function post(path, why) {
  const body = JSON.stringify({ why });
  return answer(await fetch(path, { method: "POST", headers: headers({ "Content-Type": "application/json" }), body }));
}

/** Path and parameters; those that are empty are left out. */
export function path(base, params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== "" && value !== null && value !== undefined && value !== false) query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${base}?${text}` : base;
}

/**
 * Events of these kinds from now on, one call of `tell` for each, for as long as the page is open. `link` hears how the line is. An
 * EventSource could not show a token, so the stream is read here (HTML Living Standard §9.2).
 */
export async function follow(kinds, tell, link) {
  let last = "";
  for (;;) {
    try {
      const more = last ? { "Last-Event-ID": last } : {};
      const response = await fetch(`/v1/events?kind=${kinds}`, { headers: headers(more), cache: "no-store" });
      if (!response.ok) await answer(response);
      link("live");
      await read(response.body.getReader(), (id, event, data) => {
        last = id || last;
        tell(event, data);
      });
    } catch (error) {
      link(error instanceof Refused && error.status === 503 ? "polling" : "reconnecting");
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

async function read(reader, tell) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const fields = { id: "", event: "message", data: "" };
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      rest = rest.slice(end + 2);
      if (fields.data) tell(fields.id, fields.event, JSON.parse(fields.data));
    }
  }
}
