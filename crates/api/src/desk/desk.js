// The desk: which view is open, when it asks anew, who is signed in, and the operator's acts.
import { Refused, follow, get, path, post, token } from "./edge.js";
import { fill, h, write } from "./words.js";
import * as calls from "./calls.js";
import * as groups from "./groups.js";
import * as timeline from "./timeline.js";
import * as trunks from "./trunks.js";

// Views by the first part of the address behind `#`.
const VIEWS = { trunks: trunks.list, trunk: trunks.one, groups: groups.list, timeline: timeline.view, calls: calls.lists, call: calls.one };
// Under which entry of the menu a view is.
const UNDER = { trunk: "trunks", call: "calls" };
// Asked anew so often, and this soon after a decision; while decisions rain, no more often than this.
const EVERY_MS = 2000;
const SOON_MS = 80;
const RAIN_MS = 400;

const at = (id) => document.getElementById(id);
const main = at("main");
let open = null;
let asking = false;
let again = false;
let soon = 0;
let asked = -RAIN_MS;

/** What views may use of the desk. */
const desk = { me: { role: "viewer" }, act, force, release, refresh, say, mayAct: () => desk.me.role === "operator", signIn };

function say(text) {
  write(at("said"), "");
  write(at("said"), text);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => write(at("said"), ""), 12000);
}

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  asked = performance.now();
  const view = open;
  try {
    await view?.refresh();
  } catch (error) {
    if (view === open) wrong(error);
  }
  asking = false;
  if (again) {
    again = false;
    refresh();
  }
}

function wrong(error) {
  if (error instanceof Refused && error.status === 401 && !at("login").open) signIn(error.message);
  else if (error instanceof Refused) say(error.message);
}

function show() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const known = Object.hasOwn(VIEWS, name) ? name : "trunks";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash.slice(1) === (UNDER[known] ?? known)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  open?.close?.();
  fill(main);
  open = VIEWS[known](main, desk, decodeURIComponent(rest.join("/")));
  const title = main.querySelector("h1")?.textContent ?? "";
  document.title = `${title} – Throughline`;
  refresh();
}

async function who() {
  try {
    desk.me = await get("/v1/access");
    write(at("me"), `${desk.me.who}, ${desk.me.role}`);
  } catch (error) {
    desk.me = { role: "viewer" };
    write(at("me"), "");
    wrong(error);
  }
  at("sign").hidden = !desk.me.tokens && !token.get() && desk.me.role === "operator";
  write(at("sign"), token.get() ? "Sign out" : "Sign in");
}

// Signing in.
function signIn(because) {
  write(at("login-wrong"), because ?? "");
  at("login").showModal();
  at("login-token").focus();
}
at("sign").addEventListener("click", async () => {
  if (!token.get()) return signIn();
  token.set("");
  await who();
  show();
});
at("login-leave").addEventListener("click", () => at("login").close());
at("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const before = token.get();
  token.set(at("login-token").value.trim());
  try {
    await get("/v1/access");
  } catch (error) {
    token.set(before);
    return write(at("login-wrong"), error.message);
  }
  at("login-token").value = "";
  at("login").close();
  await who();
  show();
});

// The operator's acts.
const ACTS = {
  drain: ["Drain", "Its calls stay, it gets no new ones, until you restore it."],
  out: ["Take out", "It gets no calls, and none is expected from it, until you restore it."],
  restore: ["Restore", "It gets calls as its health allows, preferred at once; what failed until now is forgotten."],
  probe: ["Probe now", "Each of its targets is asked at once. What comes of it counts as any probe does."],
  "test-call": ["Test call now", "One call to its test number. This may take up to a minute."],
};
let acting = null;

/** Asks why, and for how long where that must be told, before `order` says where to send it. */
function propose(whom, title, text, timed, order) {
  acting = { title: `${title}: ${whom}`, order };
  write(at("act-title"), acting.title);
  write(at("act-what"), text);
  write(at("act-do"), title);
  at("act-time").hidden = !timed;
  at("act-why").value = "";
  at("act").showModal();
  at(timed ? "act-for" : "act-why").focus();
}

function act(trunk, what) {
  const [title, text] = ACTS[what];
  propose(trunk, title, text, false, () => `/v1/trunks/${encodeURIComponent(trunk)}/${what}`);
}

function force(group, tier) {
  const text = "New calls try its trunks first and then the others in their usual order, until the time is over or you release the group.";
  const order = () => path(`/v1/groups/${encodeURIComponent(group)}/force`, { tier, for: at("act-for").value });
  propose(group, `Force tier ${tier + 1}`, text, true, order);
}

function release(group) {
  propose(group, "Release", "Its tiers are tried in their usual order again.", false, () => `/v1/groups/${encodeURIComponent(group)}/release`);
}
at("act-leave").addEventListener("click", () => at("act").close());
at("act-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { title, order } = acting;
  at("act").close();
  say(`${title} …`);
  try {
    const done = await post(order(), at("act-why").value);
    say(done.sentences.length > 0 ? done.sentences.join(". ") : "It was so already.");
  } catch (error) {
    if (error instanceof Refused && error.status === 401) signIn(error.message);
    else say(error.message);
  }
  refresh();
});

// Moving about.
addEventListener("hashchange", () => {
  show();
  main.focus();
});
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || (open?.polls !== false && refresh()), EVERY_MS);

follow(
  "decision,operator,alarm,configured,located",
  (kind, data) => {
    open?.told?.(kind, data);
    // Not put off by the next one: there may be no end to them.
    soon ||= setTimeout(() => {
      soon = 0;
      refresh();
    }, Math.max(SOON_MS, asked + RAIN_MS - performance.now()));
  },
  (how) => {
    write(at("link"), how);
    at("link").classList.toggle("live", how === "live");
    if (how === "live") refresh();
  },
);

await who();
get(path("/v1/desk", { limit: 1 })).then((view) => write(at("edge"), view.edge), () => {});
if (main.querySelector("h1") && !location.hash) history.replaceState(null, "", "#trunks");
fill(main, h("h1", {}, "Throughline"));
show();
