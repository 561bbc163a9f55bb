// How things are written: elements without markup in texts, times, shares, states.

/** An element; attributes that are functions are listeners, children that are no elements are text. */
export function h(tag, attrs = {}, ...children) {
  return grow(document.createElement(tag), attrs, children);
}

/** The same within a drawing. */
export function s(tag, attrs = {}, ...children) {
  return grow(document.createElementNS("http://www.w3.org/2000/svg", tag), attrs, children);
}

function grow(element, attrs, children) {
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Writes a text where another stands, and leaves the page alone when it is the same. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Puts other children into an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
}

/** A length of time, which the edge tells in microseconds. */
export function span(us) {
  if (us === null || us === undefined) return "–";
  if (us === 0) return "0";
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${Math.round(us / 1000)} ms`;
  const seconds = us / 1e6;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** A share that is told per thousand. */
export function share(permille) {
  if (permille === null || permille === undefined) return "–";
  return permille % 10 === 0 || permille >= 100 ? `${Math.round(permille / 10)} %` : `${(permille / 10).toFixed(1)} %`;
}

/** An opinion score, which is told in hundredths. */
export function mos(hundredths) {
  return hundredths === null || hundredths === undefined ? "–" : (hundredths / 100).toFixed(1);
}

/** Time of day here, of a moment in microseconds since 1970. */
export function clock(wall) {
  return new Date(wall / 1000).toLocaleTimeString(undefined, { hour12: false });
}

/** The same with its date. */
export function moment(wall) {
  const at = new Date(wall / 1000);
  return `${at.toLocaleDateString()} ${at.toLocaleTimeString(undefined, { hour12: false })}`;
}

const HEALTH = {
  up: ["Up", "✓"], suspect: ["Suspect", "?"], down: ["Down", "✕"], probation: ["Probation", "↗"], unknown: ["Unknown", "·"],
};

/** Health and the operator's word as one: class, text and sign. */
export function state(health, admin) {
  const [text, sign] = HEALTH[health] ?? [health, "·"];
  if (admin === "draining") return { kind: "out", text: `Draining, ${text}`, sign: "↓" };
  if (admin === "out_of_service") return { kind: "out", text: `Out, ${text}`, sign: "■" };
  return { kind: health, text, sign };
}

/** A badge that says it by word, sign and colour. */
export function badge(health, admin) {
  return paint(h("span"), health, admin);
}

/** Makes a badge say something else. */
export function paint(element, health, admin) {
  const { kind, text, sign } = state(health, admin);
  element.className = `badge ${kind}`;
  write(element, `${sign} ${text}`);
  return element;
}

// Leaves that are moments of the edge's own clock, and those that are lengths of time; both in microseconds.
const MOMENTS = ["heard", "last_bad", "silent_since"];
const LENGTHS = ["first_reply", "progress", "rtt", "answer", "ringback", "after", "dwell", "calm", "held", "validity", "asked"];

/** Nested facts as terms and descriptions, one for each leaf that says anything; moments as how long they were before `at`. */
export function facts(value, at = 0) {
  const rows = [];
  const before = (moment) => `${span(Math.max(0, at - moment))} before`;
  const walk = (path, node, key) => {
    if (node === null || node === undefined || node === false) return;
    const say = (text) => rows.push([path.join(" · "), text]);
    if (typeof node === "number" && MOMENTS.includes(key)) say(before(node));
    else if (typeof node === "number" && LENGTHS.includes(key)) say(span(node));
    else if (typeof node !== "object") say(/^[a-z_]+$/.test(node) ? node.replaceAll("_", " ") : String(node));
    else if (Array.isArray(node) && node.length === 2 && typeof node[0] === "number") {
      // What happened last, and when.
      say(before(node[0]));
      walk(path, node[1]);
    } else for (const [key, child] of Object.entries(node)) walk([...path, key.replaceAll("_", " ")], child, key);
  };
  walk([], value);
  return h("dl", { class: "evidence" }, rows.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}
