// Groups: their tiers, best first, where their traffic flows now, and the operator's acts on them.
import { get, path } from "./edge.js";
import { badge, fill, h, share, span, write } from "./words.js";

const PAGE = 20;

export function list(main, desk) {
  let skip = 0;
  const cards = new Map();
  const all = h("div");
  const looks = h("p", { class: "muted" }, "Sign in with the token of an operator to act.");
  const [back, on] = [h("button", { type: "button", class: "quiet" }, "Before"), h("button", { type: "button", class: "quiet" }, "After")];
  const turn = (by) => {
    skip = Math.max(0, skip + by);
    desk.refresh();
  };
  back.addEventListener("click", () => turn(-PAGE));
  on.addEventListener("click", () => turn(PAGE));
  fill(main, h("h1", {}, "Groups"), looks, all, h("p", { class: "buttons" }, back, on));
  return {
    async refresh() {
      const view = await get(path("/v1/desk/groups", { skip, limit: PAGE }));
      back.hidden = skip === 0;
      on.hidden = view.more === 0;
      looks.hidden = desk.mayAct();
      for (const group of view.groups) {
        if (!cards.has(group.name)) cards.set(group.name, card(desk, group.name));
        cards.get(group.name).tell(group);
      }
      const wanted = view.groups.map((group) => cards.get(group.name).element);
      // Moved only when they are others, so that what has the focus keeps it.
      if (wanted.length !== all.children.length || wanted.some((element, index) => all.children[index] !== element)) all.replaceChildren(...wanted);
      if (cards.size > 4 * PAGE) cards.clear();
    },
  };
}

/** One group. What may be pressed stays the same element while everything around it is told anew. */
function card(desk, name) {
  const [sentence, forced, failback] = [h("p"), h("p", { class: "forced" }), h("p", { class: "muted" })];
  const tiers = h("div", { class: "tiers" });
  const release = h("button", { type: "button", id: `release-${name}`, click: () => desk.release(name) }, "Release");
  const acts = h("div", { class: "buttons", role: "group", "aria-label": `Acts on ${name}` });
  let forces = [];
  const button = (tier) => h("button", { type: "button", id: `force-${name}-${tier + 1}`, click: () => desk.force(name, tier) }, `Force tier ${tier + 1}`);
  const element = h("section", { class: "wide" }, h("h2", {}, name), sentence, forced, tiers, acts, failback);
  return {
    element,
    tell(view) {
      write(sentence, view.sentence);
      write(forced, view.forced?.sentence ?? "");
      forced.hidden = view.forced === null;
      write(failback, `Failback: ${view.failback}`);
      // Whoever is on a link stays on it.
      const focused = tiers.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      fill(tiers, view.tiers.map((tier, number) => tierOf(view, tier, number)));
      if (focused) tiers.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
      if (forces.length !== view.tiers.length) {
        forces = view.tiers.map((_, tier) => button(tier));
        fill(acts, forces, release);
      }
      // One tier alone is first anyway.
      acts.hidden = view.tiers.length < 2;
      forces.forEach((one) => (one.disabled = !desk.mayAct()));
      release.disabled = !desk.mayAct() || view.forced === null;
    },
  };
}

function tierOf(view, tier, number) {
  const carries = view.active === number;
  const members = tier.members.map((member, index) => {
    const part = view.attempts_all > 0 ? Math.round((view.attempts[number][index] * 1000) / view.attempts_all) : 0;
    const name = `Part of the group's attempts of five minutes at ${member.trunk}`;
    return h(
      "li",
      {},
      h("a", { href: `#trunk/${encodeURIComponent(member.trunk)}` }, member.trunk),
      " ",
      badge(member.health, member.admin),
      ` for ${span(member.held)}`,
      member.health === "probation" ? `, ${member.share} % of its calls` : "",
      tier.members.length > 1 ? `, weight ${member.weight}` : "",
      h("div", {}, h("meter", { min: "0", max: "1000", value: String(part), "aria-label": name }), ` ${share(part)}`),
      member.next ? h("p", { class: "muted" }, `Next: ${member.next}`) : null,
    );
  });
  const told = [view.forced?.tier === number ? "forced" : "", carries ? "carries calls now" : ""].filter(Boolean).join(", ");
  return h("section", { class: carries ? "tier active" : "tier" },
    h("h3", {}, `Tier ${number + 1}${told ? `: ${told}` : ""}`), h("ul", {}, members),
    view.more[number] > 0 ? h("p", { class: "muted" }, `And ${view.more[number]} more, with fewer attempts.`) : null);
}
