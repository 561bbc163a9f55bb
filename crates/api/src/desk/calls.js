// Calls: those in progress, those that are over, and one of them with its ladder, its audio and why.
import { get, path } from "./edge.js";
import { clock, fill, h, mos, s, share, span, write } from "./words.js";

const PAGE = 50;

function table(label, heads, body) {
  const cell = (text) => h("th", { scope: "col", class: text.endsWith("+") ? "more" : null }, text.replace("+", ""));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, heads.map(cell))), body));
}

const link = (id, text) => h("a", { href: `#call/${id}` }, text);
const td = (text, more) => h("td", { class: more ? "more" : null }, text);

export function lists(main, desk) {
  let before = [];
  const [live, ended] = [h("tbody", { id: "live" }), h("tbody", { id: "ended" })];
  const how = h("p", { class: "muted", id: "how-many" });
  const [newer, older] = [h("button", { type: "button", class: "quiet" }, "Newer"), h("button", { type: "button", class: "quiet" }, "Older")];
  let last = null;
  newer.addEventListener("click", () => {
    before.pop();
    desk.refresh();
  });
  older.addEventListener("click", () => {
    before.push(last);
    desk.refresh();
  });
  const find = h("input", { id: "call", placeholder: "0123456789abcdef" });
  const form = h("form", { class: "bar", submit: (event) => {
    event.preventDefault();
    if (find.value.trim()) location.hash = `#call/${find.value.trim()}`;
  } }, h("label", {}, "Call by its reference", find), h("button", { type: "submit" }, "Show"));
  fill(
    main,
    h("h1", {}, "Calls"),
    form,
    h("h2", {}, "In progress"),
    how,
    table("Calls in progress", ["Call", "State", "From", "To", "Caller+", "Called", "For", "Talking+", "Attempts+"], live),
    h("h2", {}, "Over"),
    table("Calls that are over", ["Call", "Ended", "From", "Trunk", "Caller+", "Called", "Code", "PDD", "Talked", "Attempts+", "MOS heard of both+"], ended),
    h("p", { class: "buttons" }, newer, older),
  );
  // A call keeps its row, so that whoever is on its link stays there.
  const rows = new Map();
  function liveRow(call) {
    if (!rows.has(call.call)) rows.set(call.call, h("tr", {}, h("td", {}, link(call.call, call.call.slice(-8))), [0, 0, 0, 1, 0, 0, 1, 1].map((more) => td("", more))));
    const row = rows.get(call.call);
    const texts = [call.state, call.from, call.to ?? "–", call.caller, call.called, span(call.age), span(call.talking), String(call.attempts)];
    texts.forEach((text, index) => write(row.cells[index + 1], text));
    return row;
  }
  const heard = (side) => (side ? mos(side.mos) : "–");
  const endedRow = ({ cdr }) => h("tr", {}, h("td", {}, link(cdr.call, cdr.call.slice(-8))), td(clock(cdr.ended)), td(cdr.from), td(cdr.trunk ?? "–"),
    td(cdr.caller, true), td(cdr.called), td(String(cdr.code ?? "–")), td(span(cdr.pdd)), td(cdr.answered === null ? "–" : span(cdr.duration)),
    td(String(cdr.attempts), true), td(`${heard(cdr.caller_heard)} / ${heard(cdr.callee_heard)}`, true));
  let shown = "";
  return {
    async refresh() {
      const [now, past] = await Promise.all([get(path("/v1/desk/live", { limit: PAGE })), get(path("/v1/desk/ended", { before: before.at(-1), limit: PAGE }))]);
      write(how, now.all > now.calls.length ? `${now.calls.length} of ${now.all}` : `${now.all}`);
      const wanted = now.calls.map(liveRow);
      for (const id of rows.keys()) if (!now.calls.some((call) => call.call === id)) rows.delete(id);
      if (wanted.length !== live.rows.length || wanted.some((row, index) => live.rows[index] !== row)) {
        const focused = document.activeElement;
        live.replaceChildren(...wanted);
        if (live.contains(focused)) focused.focus();
      }
      newer.hidden = before.length === 0;
      older.hidden = past.calls.length < PAGE;
      last = past.calls.at(-1)?.seq;
      const key = past.calls.map((row) => row.seq).join();
      if (key !== shown) fill(ended, past.calls.map(endedRow));
      shown = key;
    },
  };
}

export function one(main, desk, id) {
  const [ladder, steps, audio, why] = [h("div", { class: "wide" }), h("ol", { class: "said-list" }), h("div"), h("ol", { class: "said-list", id: "sentences" })];
  const head = h("p");
  fill(main, h("h1", {}, `Call ${id}`), head, h("h2", {}, "Ladder"), ladder, h("details", {}, h("summary", {}, "The same in words"), steps),
    h("h2", {}, "Audio"), audio, h("h2", {}, "Why"), h("div", { class: "wide" }, why));
  let over = false;
  return {
    async refresh() {
      if (over) return;
      const [call, told] = await Promise.all([get(`/v1/calls/${encodeURIComponent(id)}`), get(`/v1/why/call/${encodeURIComponent(id)}`)]);
      over = call.ended !== undefined;
      const where = over ? "over" : call.state;
      write(head, `${call.caller} → ${call.called}, from ${call.from}, ${where}`);
      const drawn = messages(call);
      fill(ladder, draw(call, drawn));
      fill(steps, drawn.map((one) => h("li", {}, `${span(one.at)}: ${one.from} → ${one.to}: ${one.text}`)));
      fill(audio, heard(call));
      fill(why, told.sentences.map((text) => h("li", {}, text)));
    },
  };
}

/** What the outcome of an attempt looks like on the wire: who sends what, and whether it is bad. */
function outcome(value) {
  if (value === "answered") return { text: "2xx answered", up: true, good: true };
  const [[word, more]] = Object.entries(value);
  const words = word.replaceAll("_", " ");
  if (word === "refused" || word === "redirected") return { text: `${more.code} ${words}${more.q850 ? `, cause ${more.q850}` : ""}`, up: true, bad: word === "refused" };
  if (word === "unreachable") return { text: `unreachable: ${String(more.fault).replaceAll("_", " ")}`, up: true, bad: true };
  const ours = word === "abandoned" || word === "outrun" || word === "cut_short";
  return { text: `${words} after ${span(more.after)}: given up`, up: false, bad: !ours };
}

/** Both legs as messages in order of time, in microseconds since the INVITE. */
function messages(call) {
  const list = [];
  const since = (at) => at - call.invited;
  const say = (at, from, to, text, how = {}) => list.push({ at: Math.max(0, at), from, to, text, ...how });
  say(0, call.from, "edge", "INVITE");
  for (const entry of call.attempts) {
    const attempt = entry.over ?? (entry.waiting ? null : entry);
    if (!attempt) {
      say((call.age ?? 0) - entry.waiting.since, "edge", entry.waiting.trunk, "INVITE, waiting");
      continue;
    }
    const sent = since(attempt.sent);
    const begun = attempt.begun && attempt.begun !== "in_turn" ? `, ${attempt.begun.replaceAll("_", " ")}` : "";
    say(sent, "edge", attempt.trunk, `INVITE${begun}`);
    const last = attempt.took;
    if (attempt.first_reply !== null && attempt.first_reply < last && attempt.first_reply !== attempt.progress) say(sent + attempt.first_reply, attempt.trunk, "edge", "100 or first reply");
    if (attempt.progress !== null && attempt.progress < last) say(sent + attempt.progress, attempt.trunk, "edge", "18x progress");
    const end = outcome(attempt.outcome);
    if (end.up) say(sent + last, attempt.trunk, "edge", end.text, end);
    else say(sent + last, "edge", attempt.trunk, end.text, end);
  }
  const carrier = call.attempts.map((entry) => entry.over ?? entry).findLast((attempt) => attempt.outcome === "answered")?.trunk ?? call.to;
  if (call.progressed) say(since(call.progressed), "edge", call.from, "18x progress");
  if (call.answered) say(since(call.answered), "edge", call.from, "2xx answered", { good: true });
  if (call.ended !== undefined) {
    const at = since(call.ended);
    const [[word, more]] = typeof call.ending === "string" ? [[call.ending, {}]] : Object.entries(call.ending);
    if (word === "refused" || word === "out_of_retries") say(at, "edge", call.from, `${more.code} ${word.replaceAll("_", " ")}`, { bad: true });
    else if (word === "cancelled") say(at, call.from, "edge", "CANCEL");
    else if (word === "bye" && more.by === "caller") {
      say(at, call.from, "edge", "BYE");
      if (carrier) say(at, "edge", carrier, "BYE");
    } else if (word === "bye") {
      say(at, carrier ?? "edge", "edge", "BYE");
      say(at, "edge", call.from, "BYE");
    } else say(at, "edge", call.from, `ended: ${more.why ?? word}`, { bad: true });
  }
  return list.map((one, index) => ({ one, index })).sort((a, b) => a.one.at - b.one.at || a.index - b.index).map(({ one }) => one);
}

function draw(call, list) {
  const trunks = [...new Set(list.flatMap((one) => [one.from, one.to]))].filter((name) => name !== "edge" && name !== call.from);
  const names = [call.from, "edge", ...trunks];
  const [left, wide, row] = [80, 220, 30];
  const x = (name) => left + 60 + wide * names.indexOf(name);
  const [width, high] = [left + 120 + wide * (names.length - 1), 40 + row * list.length];
  const parts = names.flatMap((name) => [s("text", { x: x(name), y: 14, "text-anchor": "middle" }, name === "edge" ? "the edge" : name),
    s("line", { x1: x(name), x2: x(name), y1: 22, y2: high })]);
  list.forEach((one, index) => {
    const y = 44 + row * index;
    const [from, to] = [x(one.from), x(one.to)];
    const kind = one.bad ? "bad" : one.good ? "good" : "";
    const tip = to > from ? -7 : 7;
    parts.push(s("text", { class: "faint", x: 0, y: y + 4 }, span(one.at)));
    parts.push(s("line", { class: kind, x1: from, x2: to, y1: y, y2: y, "stroke-width": 1.5 }));
    parts.push(s("polygon", { class: kind ? `head-${kind}` : "head", points: `${to},${y} ${to + tip},${y - 4} ${to + tip},${y + 4}` }));
    parts.push(s("text", { x: (from + to) / 2, y: y - 5, "text-anchor": "middle" }, one.text));
  });
  const svg = s("svg", { viewBox: `0 0 ${width} ${high}`, width, role: "img", "aria-label": `Ladder of the call between ${names.map((name) => (name === "edge" ? "the edge" : name)).join(", ")}` }, ...parts);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Ladder" }, svg);
}

const AUDIO = [
  ["Codec", (one) => one.codec ?? "–"],
  ["MOS, estimated", (one) => mos(one.mos)],
  ["Packets", (one) => String(one.packets)],
  ["Missing or late", (one) => share(one.expected > 0 ? Math.round(((one.missing + one.late) * 1000) / one.expected) : 0)],
  ["Bursts of loss", (one) => String(one.bursts)],
  ["Jitter, mean", (one) => span(one.jitter)],
  ["Jitter, most", (one) => span(one.jitter_max)],
  ["Round trip", (one) => span(one.round_trip)],
  ["Level", (one) => (one.level === null || one.level === undefined ? "–" : `${one.level} dBm0`)],
  ["Loss it reports itself", (one) => share(one.told_loss_permille)],
];

function heard(call) {
  if (!call.media) return h("p", { class: "muted" }, call.ended === undefined ? "Told when the call is over." : "No audio passed through the edge.");
  if (!call.media.caller && !call.media.callee) return h("p", { class: "muted" }, "Nothing was ever heard of either side.");
  const sides = [["caller", `Heard of the caller (${call.from})`], ["callee", "Heard of the called side"]];
  const cell = (name, text) => h("td", {}, call.media[name] ? text(call.media[name]) : "nothing ever");
  const rows = AUDIO.map(([name, text]) => h("tr", {}, h("th", { scope: "row" }, name), sides.map(([side]) => cell(side, text))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Audio" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Of each side"), sides.map(([, text]) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
}
