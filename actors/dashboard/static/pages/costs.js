// Costs: tokens and money by node, by model and over time, and the budgets.
import { useMemo } from "../vendor/preact-hooks.js";
import { Chart } from "../charts.js";
import { Choice } from "../filter.js";
import { count, money, tokens } from "../format.js";
import { html } from "../html.js";
import { address } from "../router.js";
import { store } from "../store.js";
import { Table } from "../table.js";

const LINES = 5; // drawn by name; the rest is one line
const SPANS = { "": [24 * 3600, 3600, "last 24 hours"], hour: [3600, 60, "last hour"] }; // seconds, seconds of one point
const SHOWN = { "": ["cost", "money"], tokens: ["tokens", "tokens"] };
const SHOW = { cost: (value) => money(value), tokens: count };
const all = (row) => row.input_tokens + row.output_tokens;

const columns = (title) => [
  { title, cell: (row) => row.name, sort: (row) => row.name },
  { title: "Cost", cell: (row) => money(row.cost), sort: (row) => row.cost, kind: "number" },
  { title: "Tokens in / out", cell: tokens, sort: all, kind: "number" },
];
const budgets = [
  { title: "Node", cell: (row, item) => item.key },
  { title: "Budget", cell: (row) => row.budget },
  { title: "Cost", cell: (row) => money(row.cost, row.cost_known), kind: "number" },
];

function totals(rows, by) {
  const found = new Map();
  for (const row of rows) {
    const total = found.get(row[by]) ?? { name: row[by], cost: 0, input_tokens: 0, output_tokens: 0 };
    total.cost += Number(row.cost ?? 0);
    total.input_tokens += row.input_tokens;
    total.output_tokens += row.output_tokens;
    found.set(row[by], total);
  }
  return [...found.values()].sort((one, other) => other.cost - one.cost || all(other) - all(one));
}

function lines(rows, { by, measure, span, step, end }) {
  const value = measure === "cost" ? (row) => Number(row.cost ?? 0) : all;
  const times = Array.from({ length: span / step + 1 }, (_, index) => end - span + index * step);
  const names = totals(rows, by).map((total) => total.name);
  const drawn = names.slice(0, LINES);
  const series = drawn.map((label) => ({ label: label || "–", values: times.map(() => 0) }));
  if (names.length > LINES) series.push({ label: "(others)", values: times.map(() => 0) });
  for (const row of rows) {
    const line = drawn.indexOf(row[by]);
    series[line < 0 ? LINES : line].values[Math.floor((row.at - times[0]) / step)] += value(row);
  }
  return { times, series };
}

export function Costs({ query }) {
  const by = query.by === "model" ? "model" : "node";
  const [span, step] = SPANS[query.span] ?? SPANS[""];
  const [measure] = SHOWN[query.measure] ?? SHOWN[""];
  const end = Math.floor(store.now() / step) * step;
  const version = store.tables.version("costs");
  const rows = useMemo(() => [...store.rows("costs").values()].filter((row) => row.at >= end - span && row.at < end + step), [version, end, span]);
  const chart = useMemo(() => lines(rows, { by, measure, span, step, end }), [rows, by, measure]);
  const table = (title, name) => html`<${Table} label=${`Costs by ${name}`} columns=${columns(title)} empty="Nothing was spent."
    rows=${totals(rows, name).map((row) => ({ key: row.name, row, depth: 0 }))} link=${({ key }) => (name === "node" ? address("flow", key) : address("costs", "", { ...query, by: "model" }))} />`;
  const limited = store.list("nodes").filter(({ row }) => row.budget);
  const sum = totals(rows.map((row) => ({ ...row, every: "" })), "every")[0];
  return html`<div class="filters">
      <${Choice} name="span" label="Time" query=${query} options=${Object.entries(SPANS).map(([value, [, , text]]) => [value, text])} />
      <${Choice} name="by" label="Lines" query=${query} options=${[["", "by node"], ["model", "by model"]]} />
      <${Choice} name="measure" label="What" query=${query} options=${Object.entries(SHOWN).map(([value, [, text]]) => [value, text])} />
      ${sum && html`<span class="facts">${money(sum.cost)}, tokens ${tokens(sum)}</span>`}
    </div>
    <${Chart} label=${`${measure} over time by ${by}`} ...${chart} show=${SHOW[measure]} />
    <h2>By node</h2>${table("Node", "node")}
    <h2>By model</h2>${table("Model", "model")}
    <h2>Budgets</h2><${Table} label="Budgets" columns=${budgets} rows=${limited} empty="No node has a budget." link=${({ key }) => address("flow", key)} />`;
}
