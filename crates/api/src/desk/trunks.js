// Trunks: all of them by the page, and one in full with the operator's acts.
import { get, path } from "./edge.js";
import { badge, fill, h, mos, paint, share, span, write } from "./words.js";

const PAGE = 50;
const KINDS = [["down", "Down"], ["suspect", "Suspect"], ["probation", "on Probation"], ["out", "out"], ["unknown", "Unknown"], ["up", "Up"]];

/** What is measured of a trunk: name, what it means, how it is written. */
const MEASURES = [
  ["Calls", "Calls now, of those it may carry", (line) => (line.capacity === null ? `${line.calls}` : `${line.calls} / ${line.capacity}`)],
  ["Traffic", "Its part of all attempts of five minutes", (line) => share(line.traffic)],
  ["ASR", "Attempts that were answered", (line) => share(line.asr)],
  ["NER", "Attempts that reached the called side", (line) => share(line.ner)],
  ["PDD", "Mean post-dial delay", (line) => span(line.pdd)],
  ["MOS", "Opinion score of what is heard of it, estimated", (line) => mos(line.mos)],
];

function measures() {
  const cells = MEASURES.map(([name, title]) => [h("dd"), h("dt", { title }, name)]);
  const element = h("dl", { class: "facts" }, cells.map(([dd, dt]) => h("div", {}, dt, dd)));
  return { element, tell: (line) => cells.forEach(([dd], index) => write(dd, MEASURES[index][2](line))) };
}

/** What is said beside the health: share on trial, throttle, registration. */
function aside(line) {
  const words = [`for ${span(line.held)}`];
  if (line.health === "probation") words.push(`${line.share} % of its calls`);
  if (line.throttled !== null) words.push(`asked for no calls for ${span(line.throttled)}`);
  if (line.unregistered) words.push("not registered");
  return words.join(", ");
}

function card() {
  const link = h("a");
  const [mark, held, cause, next] = [h("span"), h("span", { class: "muted" }), h("p"), h("p", { class: "muted" })];
  const numbers = measures();
  const element = h(
    "li",
    { class: "card" },
    h("div", {}, h("h2", { class: "name" }, link), mark, " ", held),
    h("div", {}, cause, next),
    numbers.element,
  );
  return {
    element,
    tell(line) {
      write(link, line.name);
      link.setAttribute("href", `#trunk/${encodeURIComponent(line.name)}`);
      element.dataset.trunk = line.name;
      element.dataset.health = line.health;
      paint(mark, line.health, line.admin);
      write(held, aside(line));
      write(cause, line.cause ?? "Nothing has been decided about it since the start.");
      write(next, line.next ? `Next: ${line.next}` : "");
      numbers.tell(line);
    },
  };
}

export function list(main, desk) {
  const asked = { find: "", troubled: false, order: "worst", skip: 0 };
  const cards = new Map();
  const totals = h("ul", { class: "totals", "aria-label": "The edge in numbers" });
  const alarms = h("ul", { class: "alarms", "aria-label": "Alarms" });
  const rows = h("ul", { class: "cards" });
  const none = h("p", { class: "muted", hidden: true }, "No trunk fits.");
  const [back, on] = [h("button", { type: "button", class: "quiet" }, "Before"), h("button", { type: "button", class: "quiet" }, "After")];
  const turn = (by) => {
    asked.skip = Math.max(0, asked.skip + by);
    desk.refresh();
  };
  back.addEventListener("click", () => turn(-PAGE));
  on.addEventListener("click", () => turn(PAGE));
  const change = (name) => (event) => {
    asked[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
    asked.skip = 0;
    desk.refresh();
  };
  fill(
    main,
    h("h1", {}, "Trunks"),
    totals,
    alarms,
    h(
      "div",
      { class: "bar" },
      h("label", {}, "Name has", h("input", { type: "search", id: "find", input: change("find") })),
      h("label", {}, "Order", h("select", { id: "order", change: change("order") },
        h("option", { value: "worst" }, "worst first"), h("option", { value: "name" }, "by name"), h("option", { value: "calls" }, "most calls first"))),
      h("label", { class: "flat" }, h("input", { type: "checkbox", id: "troubled", change: change("troubled") }), "only those in trouble"),
    ),
    rows,
    none,
    h("p", { class: "buttons" }, back, on),
  );
  const count = (number, text) => h("li", {}, h("b", {}, String(number)), ` ${text}`);
  return {
    async refresh() {
      const view = await get(path("/v1/desk", { ...asked, limit: PAGE }));
      const kinds = KINDS.filter(([kind]) => view.trunks[kind] > 0);
      fill(totals, count(view.calls, "calls"), count(view.trunks.all, "trunks"), kinds.map(([kind, text]) => count(view.trunks[kind], text)));
      const told = view.alarms.map((text) => h("li", {}, text));
      if ([...alarms.children].map((one) => one.textContent).join("\n") !== view.alarms.join("\n")) fill(alarms, told);
      for (const line of view.lines) {
        if (!cards.has(line.name)) cards.set(line.name, card());
        cards.get(line.name).tell(line);
      }
      const wanted = view.lines.map((line) => cards.get(line.name).element);
      // Moved only when the order has changed, so that what has the focus keeps it.
      if (wanted.length !== rows.children.length || wanted.some((element, index) => rows.children[index] !== element)) {
        const focused = document.activeElement;
        rows.replaceChildren(...wanted);
        if (rows.contains(focused)) focused.focus();
      }
      if (cards.size > 4 * PAGE) cards.clear();
      none.hidden = wanted.length > 0;
      back.hidden = asked.skip === 0;
      on.hidden = view.more === 0;
      write(on, `After (${view.more})`);
    },
  };
}

const BUTTONS = [["drain", "Drain"], ["out", "Take out"], ["restore", "Restore"], ["probe", "Probe now"], ["test-call", "Test call now"]];

export function one(main, desk, name) {
  const [mark, held, cause, next] = [h("span"), h("span", { class: "muted" }), h("p", { id: "cause" }), h("p", { id: "next", class: "muted" })];
  const numbers = measures();
  const targets = h("tbody");
  const more = h("div");
  const said = h("ol", { class: "said-list", id: "sentences", reversed: true });
  const buttons = BUTTONS.map(([what, text]) => h("button", { type: "button", id: `do-${what}`, click: () => desk.act(name, what) }, text));
  const looks = h("p", { class: "muted" }, "Sign in with the token of an operator to act.");
  fill(
    main,
    h("h1", {}, `Trunk ${name}`),
    h("div", { class: "wide" }, h("p", {}, mark, " ", held), cause, next, numbers.element),
    h("h2", {}, "Acts"),
    h("div", { class: "buttons" }, buttons),
    looks,
    h("h2", {}, "Targets"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Targets" }, h("table", {}, h("thead", {}, h("tr", {},
      ["Address", "Health", "For", "Round trip", "Probes good, bad in a row", "Attempts, blamed of a minute"].map((text) => h("th", { scope: "col" }, text)))), targets)),
    more,
    h("h2", {}, "Why"),
    h("div", { class: "wide" }, said),
    h("p", {}, h("a", { href: `#timeline/${encodeURIComponent(name)}` }, "Its timeline")),
  );
  const target = (one) => h("tr", {}, h("td", {}, one.addr, one.name ? ` (${one.name})` : ""), h("td", {}, badge(one.health, "in_service")),
    h("td", {}, span(one.held)), h("td", {}, span(one.rtt)), h("td", {}, `${one.probes_good}, ${one.probes_bad}`), h("td", {}, `${one.attempts}, ${one.blamed}`));
  return {
    async refresh() {
      const base = encodeURIComponent(name);
      const [view, why] = await Promise.all([get(`/v1/trunks/${base}`), get(`/v1/why/trunk/${base}?limit=20`)]);
      const { line } = view;
      paint(mark, line.health, line.admin);
      write(held, aside(line));
      write(cause, line.cause ?? "Nothing has been decided about it since the start.");
      write(next, line.next ? `Next: ${line.next}` : "");
      numbers.tell(line);
      fill(targets, view.targets.map(target));
      const extra = [view.registration?.sentence, view.test_calls?.last?.sentence].filter(Boolean);
      fill(more, extra.map((text) => h("p", {}, text)));
      const sentences = why.sentences.toReversed();
      if (said.children.length !== sentences.length || said.firstChild?.textContent !== sentences[0]) {
        fill(said, sentences.map((text) => h("li", {}, text)));
      }
      for (const [index, [what]] of BUTTONS.entries()) {
        const missing = (what === "test-call" && !line.test_call) || (what === "probe" && !line.probed);
        buttons[index].disabled = !desk.mayAct() || missing;
        if (missing) buttons[index].title = what === "probe" ? "It is not probed" : "It has no test_call";
      }
      looks.hidden = desk.mayAct();
    },
  };
}
