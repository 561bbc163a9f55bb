// Asks a Prometheus all that Grafana would ask it for the dashboard, and the Prometheus how it fares with the rules: each variable has values,
// each series that a panel draws is there, each rule is evaluated and no alert's text is left with a gap.
//
// Variables are replaced as Grafana documents it (variable syntax; `$__rate_interval` is four scrapes at least): "All" by its `allValue`, and
// then again by each one value of the last variable. Usage: node scripts/panels.js http://PROMETHEUS ALERT..., the alerts that must have been
// seen by now. Refuses to know: how a panel looks.
const fs = require("fs");
const [server, ...alerts] = process.argv.slice(2);
const dashboard = JSON.parse(fs.readFileSync("packaging/grafana/throughline.json"));

const LIMIT_MS = 60_000;

async function ask(path, query) {
  const answer = await (await fetch(`${server}/api/v1/${path}?${new URLSearchParams(query)}`)).json();
  if (answer.status !== "success") throw new Error(`${path} ${JSON.stringify(query)}: ${answer.error}`);
  return answer.data;
}

function filled(text, values) {
  return text.replace(/\$(\w+)/g, (whole, name) => {
    if (!(name in values)) throw new Error(`${whole} is no variable: ${text}`);
    return values[name];
  });
}

/// What each variable may be, the earlier ones at "All".
async function variables() {
  const values = { __rate_interval: "1m" };
  const choices = {};
  for (const variable of dashboard.templating.list.filter((variable) => variable.type === "query")) {
    const [, metric, label] = /^label_values\((.+), *(\w+)\)$/.exec(variable.query.query);
    choices[variable.name] = await ask(`label/${label}/values`, { "match[]": filled(metric, values) });
    values[variable.name] = variable.allValue;
  }
  return { all: values, choices };
}

/// Panels without a series, by their titles.
async function empty(values) {
  const now = Date.now() / 1000;
  const missing = [];
  for (const panel of dashboard.panels) {
    for (const target of panel.targets ?? []) {
      const query = filled(target.expr, values);
      const { result } = await ask("query_range", { query, start: now - 300, end: now, step: 5 });
      const drawn = result.some((series) => series.values.some(([, value]) => Number.isFinite(Number(value))));
      if (!drawn) missing.push(`${panel.title}: ${query}`);
    }
  }
  return missing;
}

async function rules() {
  const { groups } = await ask("rules", { type: "alert" });
  const all = groups.flatMap((group) => group.rules);
  const faults = all.filter((rule) => rule.health !== "ok").map((rule) => `rule ${rule.name} is ${rule.health}: ${rule.lastError ?? ""}`);
  for (const alert of all.flatMap((rule) => rule.alerts)) {
    const gap = Object.values(alert.annotations).find((text) => /<no value>|<error|  | at ,| at $/.test(text));
    if (gap !== undefined) faults.push(`alert ${alert.labels.alertname} says: ${gap}`);
  }
  const seen = await ask("query", { query: "count by (alertname) (last_over_time(ALERTS[10m]))" });
  const named = new Set(seen.result.map((series) => series.metric.alertname));
  faults.push(...alerts.filter((name) => !named.has(name)).map((name) => `alert ${name} was never seen`));
  return { count: all.length, faults };
}

/// What is missing still, and how much is there.
async function look() {
  const { all, choices } = await variables();
  const faults = Object.entries(choices).filter(([, values]) => values.length === 0).map(([name]) => `no value of $${name}`);
  faults.push(...(await empty(all)));
  const [last, values] = Object.entries(choices).at(-1);
  for (const value of values) faults.push(...(await empty({ ...all, [last]: `(${value})` })));
  const ruled = await rules();
  return { faults: [...faults, ...ruled.faults], rules: ruled.count };
}

(async () => {
  const until = Date.now() + LIMIT_MS;
  for (;;) {
    const { faults, rules } = await look();
    if (faults.length === 0) {
      const panels = dashboard.panels.filter((panel) => panel.targets);
      console.log(`a Prometheus has data for each of ${panels.length} panels, and evaluates ${rules} rules`);
      return;
    }
    if (Date.now() > until) {
      faults.forEach((fault) => console.error(fault));
      process.exit(1);
    }
    await new Promise((wake) => setTimeout(wake, 1000));
  }
})();
