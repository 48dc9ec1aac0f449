// Costs: tokens and money by node, by model and over time, and the budgets.
import { Chart } from "../charts.js";
import { Choice, Since, Table, address, count, html, money, store, tokens, useMemo } from "../kit.js";

const LINES = 5; // drawn by name; the rest is one line
const SPANS = { "": [24 * 3600, 3600], hour: [3600, 60] }; // seconds, seconds of one point
const CHOICES = {
  span: [["", "last 24 hours"], ["hour", "last hour"]],
  by: [["", "by node"], ["model", "by model"]],
  measure: [["", "money"], ["tokens", "tokens"]],
};
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
  const measure = query.measure === "tokens" ? "tokens" : "cost";
  const end = Math.floor(store.now() / step) * step;
  const version = store.tables.version("costs");
  const fits = (row) => row.at >= end - span && row.at < end + step;
  const rows = useMemo(() => [...store.rows("costs").values()].filter(fits), [version, end, span]);
  const chart = useMemo(() => lines(rows, { by, measure, span, step, end }), [rows, by, measure]);
  const table = (title, name, link) => html`<h2>By ${name}</h2>
    <${Table} label=${`Costs by ${name}`} columns=${columns(title)} link=${link} empty="Nothing was spent."
      rows=${totals(rows, name).map((row) => ({ key: row.name, row, depth: 0 }))} />`;
  const choice = ([name, options]) => html`<${Choice} name=${name} label=${name} query=${query} options=${options} />`;
  const node = ({ key }) => address("flow", key);
  const limited = store.list("nodes").filter(({ row }) => row.budget);
  const sum = totals(rows.map((row) => ({ ...row, every: "" })), "every")[0];
  return html`<div class="filters">
      ${Object.entries(CHOICES).map(choice)}
      <${Since} />${sum && html`<span class="facts">${money(sum.cost)}, tokens ${tokens(sum)}</span>`}
    </div>
    <${Chart} label=${`${measure} over time by ${by}`} ...${chart} show=${SHOW[measure]} />
    ${table("Node", "node", node)}
    ${table("Model", "model", () => address("costs", "", { ...query, by: "model" }))}
    <h2>Budgets</h2>
    <${Table} label="Budgets" columns=${budgets} rows=${limited} link=${node} empty="No node has a budget." />`;
}
