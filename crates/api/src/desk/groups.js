// Groups: their tiers, best first, and where their traffic flows now.
import { get, path } from "./edge.js";
import { badge, fill, h, share, span } from "./words.js";

const PAGE = 20;

export function list(main, desk) {
  let skip = 0;
  const all = h("div");
  const [back, on] = [h("button", { type: "button", class: "quiet" }, "Before"), h("button", { type: "button", class: "quiet" }, "After")];
  const turn = (by) => {
    skip = Math.max(0, skip + by);
    desk.refresh();
  };
  back.addEventListener("click", () => turn(-PAGE));
  on.addEventListener("click", () => turn(PAGE));
  fill(main, h("h1", {}, "Groups"), all, h("p", { class: "buttons" }, back, on));
  return {
    async refresh() {
      const view = await get(path("/v1/desk/groups", { skip, limit: PAGE }));
      back.hidden = skip === 0;
      on.hidden = view.more === 0;
      // Whoever is on a link stays on it.
      const focused = all.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      fill(all, view.groups.map(group));
      if (focused) all.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    },
  };
}

function group(view) {
  const sum = view.attempts_all;
  const tiers = view.tiers.map((tier, number) => {
    const carries = view.active === number;
    const members = tier.members.map((member, index) => {
      const part = sum > 0 ? Math.round((view.attempts[number][index] * 1000) / sum) : 0;
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
    return h("section", { class: carries ? "tier active" : "tier" },
      h("h3", {}, `Tier ${number + 1}${carries ? ": carries calls now" : ""}`), h("ul", {}, members),
      view.more[number] > 0 ? h("p", { class: "muted" }, `And ${view.more[number]} more, with fewer attempts.`) : null);
  });
  return h("section", { class: "wide" }, h("h2", {}, view.name), h("p", {}, view.sentence), h("div", { class: "tiers" }, tiers),
    h("p", { class: "muted" }, `Failback: ${view.failback}`));
}
