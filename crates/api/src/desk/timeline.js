// The timeline: every decision, act and alarm, to be gone through in time, each with the evidence it rests on.
import { get, path } from "./edge.js";
import { clock, facts, fill, h, moment, s, state } from "./words.js";

const PAGE = 100;
// How soon what has come is drawn.
const DRAWN_MS = 150;
// Lines drawn at most; of more trunks, those with most changes.
const LANES = 12;
const [LEFT, WIDTH, HIGH] = [110, 900, 18];

export function view(main, desk, trunk) {
  // Oldest first.
  let entries = [];
  let chosen = -1;
  let more = false;
  let began = false;
  const drawing = h("div", { class: "wide" });
  const slider = h("input", { type: "range", id: "scrub", min: "0", step: "1", "aria-label": "Moment on the timeline" });
  const rows = h("ul", { class: "entries", id: "entries" });
  const shown = h("div", { class: "wide", id: "shown", "aria-live": "polite" });
  const older = h("button", { type: "button", class: "quiet", id: "older" }, "Older");
  fill(
    main,
    h("h1", {}, trunk ? `Timeline of ${trunk}` : "Timeline"),
    trunk ? h("p", {}, h("a", { href: "#timeline" }, "Of all trunks")) : null,
    drawing,
    h("p", {}, slider),
    h("div", { class: "split" }, h("section", {}, h("h2", {}, "Records"), rows, h("p", {}, older)), h("section", {}, h("h2", {}, "Chosen"), shown)),
  );
  slider.addEventListener("input", () => choose(Number(slider.value)));
  older.addEventListener("click", () => load(entries[0]?.seq));

  async function load(before) {
    const page = await get(path("/v1/timeline", { trunk, before, limit: PAGE }));
    more = page.more;
    const keep = entries[chosen]?.seq;
    const newer = before === undefined ? [] : entries;
    entries = [...page.entries.toReversed(), ...newer];
    const kept = entries.findIndex((entry) => entry.seq === keep);
    choose(kept >= 0 && !following ? kept : entries.length - 1, true);
  }

  // Records may come by the hundred, and all of them are drawn at once.
  let drawing_due = false;
  function drawSoon() {
    if (drawing_due) return;
    drawing_due = true;
    setTimeout(() => {
      drawing_due = false;
      if (main.contains(rows)) choose(following ? entries.length - 1 : chosen, true);
    }, DRAWN_MS);
  }

  // At the last record one sees what comes; further back one is left where one is.
  let following = true;
  function choose(index, anew = false) {
    chosen = Math.max(0, Math.min(index, entries.length - 1));
    following = chosen === entries.length - 1;
    slider.max = String(Math.max(0, entries.length - 1));
    slider.value = String(chosen);
    const entry = entries[chosen];
    slider.setAttribute("aria-valuetext", entry ? `${moment(entry.wall)}: ${entry.sentence}` : "nothing on record");
    older.hidden = !more;
    if (anew) drawRows();
    for (const button of rows.querySelectorAll("button")) {
      if (Number(button.dataset.seq) === entry?.seq) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    fill(drawing, lanes(entries, chosen));
    fill(shown, entry ? told(entry) : h("p", {}, "Nothing is on record yet."));
  }

  function drawRows() {
    const line = (entry) => h("li", {}, h("button", { type: "button", "data-seq": String(entry.seq),
      click: () => choose(entries.findIndex((one) => one.seq === entry.seq)) }, `${clock(entry.wall)}  ${entry.sentence}`));
    fill(rows, entries.toReversed().map(line));
  }

  return {
    polls: false,
    async refresh() {
      if (!began) {
        began = true;
        await load();
      }
    },
    told(kind, data) {
      if (kind === "missed") return void (began = false);
      const about = names(data.record);
      if (!began || (trunk && about !== null && about !== trunk) || entries.some((entry) => entry.seq === data.seq)) return;
      entries.push(data);
      // What is pushed out can be turned back to.
      if (following && entries.length > 10 * PAGE) {
        entries = entries.slice(-PAGE);
        more = true;
      }
      drawSoon();
    },
  };
}

/** The trunk a record is about; null when it concerns all. A group is told of in words that name no trunk. */
function names(record) {
  const act = record.operator?.act;
  const group = record.decision?.who.group ?? act?.force?.group ?? act?.release?.group;
  if (group) return `group ${group}`;
  return record.decision?.who.trunk ?? record.operator?.trunk ?? record.located?.trunk ?? null;
}

function told(entry) {
  const { decision } = entry.record;
  const parts = [h("p", {}, h("b", {}, moment(entry.wall)), ` record ${entry.seq}`), h("p", {}, entry.sentence)];
  if (decision) {
    const { cause, change, veto, evidence, policy, epoch } = decision.decision;
    parts.push(h("h3", {}, "Cause and limit"), facts({ change, cause, ...(veto ? { "held back by": veto } : {}), policy: policy.toString(16), epoch }));
    if (evidence) parts.push(h("h3", {}, "Evidence"), facts(evidence, decision.decision.at));
  }
  if (entry.record.operator) parts.push(h("h3", {}, "The operator's word"), facts(entry.record.operator));
  return parts;
}

/** Changes of health and of the operator's word, by trunk. A trunk of several targets is drawn as its last decision has it. */
function histories(entries) {
  const all = new Map();
  for (const entry of entries) {
    const made = entry.record.decision;
    if (!made || made.decision.veto) continue;
    const change = made.decision.change.health ?? made.decision.change.admin;
    if (!change) continue;
    const kind = made.decision.change.health ? "health" : "admin";
    if (!all.has(made.who.trunk)) all.set(made.who.trunk, []);
    all.get(made.who.trunk).push({ at: entry.wall, kind, from: change.from, to: change.to });
  }
  return [...all].sort((one, other) => other[1].length - one[1].length).slice(0, LANES).sort((one, other) => one[0].localeCompare(other[0]));
}

function lanes(entries, chosen) {
  const lines = histories(entries);
  const [first, last] = [entries[0]?.wall ?? 0, entries.at(-1)?.wall ?? 1];
  const x = (wall) => LEFT + (WIDTH * (wall - first)) / Math.max(1, last - first);
  const high = HIGH * Math.max(1, lines.length) + 22;
  const parts = [];
  const now = [];
  for (const [index, [name, changes]] of lines.entries()) {
    const y = 4 + HIGH * index;
    parts.push(s("text", { x: 0, y: y + 11 }, name.length > 15 ? `${name.slice(0, 14)}…` : name));
    const held = { health: changes.find((one) => one.kind === "health")?.from ?? "up", admin: changes.find((one) => one.kind === "admin")?.from ?? "in_service" };
    let since = first;
    let then = state(held.health, held.admin);
    const draw = (until) => parts.push(s("rect", { class: then.kind, x: x(since), y, width: Math.max(1, x(until) - x(since)), height: HIGH - 5 }));
    let seen = then;
    for (const change of changes) {
      draw(change.at);
      since = change.at;
      held[change.kind] = change.to;
      then = state(held.health, held.admin);
      if (change.at <= entries[chosen].wall) seen = then;
    }
    draw(last);
    now.push(`${name} ${seen.text}`);
  }
  if (entries.length > 0) {
    const at = x(entries[chosen].wall);
    parts.push(s("line", { class: "cursor", x1: at, x2: at, y1: 0, y2: high - 18 }));
    parts.push(s("text", { class: "faint", x: LEFT, y: high - 4 }, moment(first)));
    parts.push(s("text", { class: "faint", x: LEFT + WIDTH, y: high - 4, "text-anchor": "end" }, moment(last)));
  }
  const then = now.length > 0 ? `Then: ${now.join("; ")}` : "No trunk has changed within these records.";
  return [s("svg", { viewBox: `0 0 ${LEFT + WIDTH} ${high}`, role: "img", "aria-label": "Health of trunks over time" }, ...parts), h("p", { id: "then" }, then)];
}
