// Flow: nodes and connections as a graph with what passes a second, and the same as a table.
import { Graph } from "../graph.js";
import { forget, rate } from "../rates.js";
import { Search, Split, Table, address, count, html, matcher, store, time } from "../kit.js";

const DRAWN = 250; // nodes: placing more takes seconds, and nobody can read it

const pace = (value) => (value ? `${count(value)}/s` : "");
const columns = [
  { title: "From", cell: (row) => row.source },
  { title: "To", cell: (row) => row.target },
  { title: "Kind", cell: (row) => row.kind, kind: "wide" },
  { title: "Rate", cell: (row) => pace(row.rate), sort: (row) => row.rate, kind: "number" },
  { title: "Passed", cell: (row) => count(row.passed), sort: (row) => row.passed, kind: "number" },
  { title: "Waiting", cell: (row) => count(row.queued), sort: (row) => row.queued, kind: "number" },
  { title: "Failed", cell: (row) => count(row.failed), sort: (row) => row.failed, kind: "number" },
  { title: "Last", cell: (row) => time(row.last), sort: (row) => row.last, kind: "time wide" },
];

function drawing(nodes, links, query) {
  const busy = new Set([...store.rows("runs").values()].map((run) => run.node));
  const boxes = nodes.map(({ key, row }) => ({
    name: key,
    note: `${row.kind} · ${count(row.runs)} runs${row.failed ? ` · ${count(row.failed)} failed` : ""}`,
    state: busy.has(key) ? "busy" : row.failed > 0 ? "failed" : "",
    link: address("flow", key, query),
  }));
  const lines = links.map(({ key, row: { source, target, rate } }) => {
    return { key: `l${key}`, source, target, note: pace(rate), kind: rate ? "busy" : "" };
  });
  for (const { key: source, row } of nodes) {
    for (const target of row.members ?? []) {
      lines.push({ key: JSON.stringify([source, target]), source, target, note: "", kind: "member" });
    }
  }
  return { boxes, lines };
}

export function Flow({ id, query }) {
  const links = store.list("links");
  for (const link of links) link.row = { ...link.row, rate: rate(link.key, link.row.passed, store.now()) };
  forget(new Set(links.map(({ key }) => key)));
  const words = matcher(query.q, ["name", "kind", "model"]);
  const all = store.list("nodes").filter(({ key, row }) => !words || words({ ...row, name: key }));
  const busiest = (one, other) => other.row.messages - one.row.messages;
  const nodes = all.length > DRAWN ? all.toSorted(busiest).slice(0, DRAWN) : all;
  const names = new Set(nodes.map(({ key }) => key));
  const between = links.filter(({ row }) => !words || names.has(row.source) || names.has(row.target));
  const { boxes, lines } = drawing(nodes, between, query);
  const row = store.rows("nodes").get(id);
  return html`<div class="filters"><${Search} query=${query} label="Filter nodes" />
      ${all.length > DRAWN && html`<span>the ${count(DRAWN)} busiest of ${count(all.length)} are drawn</span>`}</div>
    <${Split} id=${id} title=${id} row=${row}>
      <${Graph} label="Nodes and connections" nodes=${boxes} edges=${lines} />
      <${Table} label="Connections" columns=${columns} rows=${between} empty="No connections."
        link=${({ row }) => address("flow", row.source, query)} />
    <//>`;
}
