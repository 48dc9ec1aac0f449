// Triggers: what starts runs, when it is next due, and how its last runs went.
import { Action, Search, Split, State, Table, address, count, html, matcher, store, time } from "../kit.js";

const columns = [
  { title: "Trigger", cell: (row) => `${row.node}/${row.name}`, sort: (row) => `${row.node}/${row.name}` },
  { title: "State", cell: (row) => html`<${State} state=${row.state} />` },
  { title: "Next", cell: (row) => time(row.next) || "when it comes", sort: (row) => row.next, kind: "time" },
  { title: "Last event", cell: (row) => `${time(row.last)} ${row.event}`, sort: (row) => row.last, kind: "text wide" },
  { title: "Events", cell: (row) => count(row.accepted), kind: "number wide" },
  { title: "Run", cell: (row) => count(row.run), kind: "number wide" },
  { title: "Failed", cell: (row) => count(row.failed), kind: "number" },
];

const Fire = ({ row }) => html`<${Action} name="Fire now" path=${["triggers", row.node, row.name, "fire"]}
  disabled=${!row.can_fire} ask=${`Start a run of ${row.node} by ${row.name} now?`}
  label=${`Fire ${row.name} of ${row.node} now`} />`;

export function Triggers({ id, query }) {
  const words = matcher(query.q, ["name", "node", "kind", "state", "event"]);
  const rows = store.list("triggers").filter(({ row }) => !words || words(row));
  const row = store.rows("triggers").get(id);
  return html`<div class="filters"><${Search} query=${query} label="Filter triggers" /></div>
    <${Split} id=${id} title=${row?.name ?? id} row=${row} actions=${row && html`<${Fire} row=${row} />`}>
      <${Table} label="Triggers" columns=${columns} rows=${rows} chosen=${id} empty="No node has a trigger."
        link=${({ key }) => address("triggers", key, query)} actions=${(item) => html`<${Fire} row=${item.row} />`} />
    <//>`;
}
