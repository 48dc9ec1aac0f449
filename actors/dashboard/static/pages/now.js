// Now: the runs in flight as a tree of who asked whom.
import {
  Action, Search, Split, State, Table, address, clip, count, duration, html, matcher, money, store, tokens, treeRows,
  useMemo, withHost,
} from "../kit.js";

const elapsed = (row) => duration(store.now() - row.started);
const spent = (row) => row.input_tokens + row.output_tokens;
const price = (row) => row.cost && money(row.cost, row.cost_known);
const columns = [
  { title: "Run", cell: (row) => row.node },
  { title: "Kind", cell: (row) => row.kind, kind: "wide" },
  { title: "State", cell: (row) => html`<${State} state=${row.state} />` },
  { title: "Does", cell: (row) => row.step },
  { title: "Elapsed", cell: elapsed, sort: (row) => -row.started, kind: "number" },
  { title: "Tokens", cell: (row) => row.cost && tokens(row), sort: spent, kind: "number wide" },
  { title: "Cost", cell: price, sort: (row) => Number(row.cost), kind: "number" },
  { title: "Conversation", cell: (row) => row.conversation && html`<${Talk} id=${row.conversation} />`, kind: "wide" },
];

// Nodes of other hosts that work. These say how many runs, and not which.
const elsewhere = (here) => [...store.rows("actors")].filter(([, row]) => row.host !== here && row.in_flight > 0)
  .map(([key, { name, host, state, in_flight }]) => [key, { node: name, host, state, step: `${in_flight} in flight` }]);

const Talk = ({ id }) => html`<a tabindex="-1" href=${address("conversations", id)}>${clip(id)}</a>`;
const Cancel = ({ item: { key, row } }) => !row.host && html`<${Action} name="Cancel" path=${["runs", key, "cancel"]}
  label=${`Cancel the run of ${row.node}`} ask=${`Cancel the run of ${row.node}, and all that it asked for?`} />`;

export function Now({ id, query }) {
  const runs = store.rows("runs");
  const here = store.pool().host;
  const all = new Map(here ? [...runs, ...elsewhere(here)] : runs);
  const rows = useMemo(
    () => treeRows(all, matcher(query.q, ["node", "host", "kind", "state", "step", "conversation"])),
    [store.tables.version("runs"), here && store.tables.version("actors"), query.q],
  );
  const sum = (name) => [...runs.values()].reduce((all, row) => all + Number(row[name] ?? 0), 0);
  const sums = tokens({ input_tokens: sum("input_tokens"), output_tokens: sum("output_tokens") });
  const row = all.get(id);
  const cancel = (item) => html`<${Cancel} item=${item} />`;
  return html`<p class="facts">${count(runs.size)} in flight, ${money(sum("cost"))}, tokens ${sums}</p>
    <div class="filters"><${Search} query=${query} label="Filter runs" /></div>
    <${Split} id=${id} title=${row?.node ?? id} row=${row} actions=${row && cancel({ key: id, row })}>
      <${Table} label="Runs in flight" columns=${withHost(columns)} rows=${rows} chosen=${id} empty="Nothing runs."
        link=${({ key }) => address("now", key, query)} actions=${cancel} />
    <//>`;
}
