// Log: what happened, newest first; pausing keeps the rows still while one reads.
import { Choice, Search, Since, Split, State, Table, address, html, matcher, store, time, useState } from "../kit.js";

const columns = [
  { title: "Time", cell: (row) => time(row.at), kind: "time" },
  { title: "Level", cell: (row) => html`<${State} state=${row.level} />` },
  { title: "Event", cell: (row) => row.kind, kind: "wide" },
  { title: "Node", cell: (row) => row.node },
  { title: "Text", cell: (row) => row.text, kind: "text" },
];
const LEVELS = { warning: ["warning", "error"], error: ["error"] };
const CHOICES = [["", "all levels"], ["warning", "warnings and errors"], ["error", "errors"]];

export function Log({ id, query }) {
  const [held, setHeld] = useState(null);
  const all = held ?? store.list("log").toReversed();
  const words = matcher(query.q, ["kind", "node", "text", "run"]);
  const levels = LEVELS[query.level];
  const level = (row) => !levels || levels.includes(row.level);
  const kind = (row) => !query.kind || row.kind === query.kind;
  const rows = all.filter(({ row }) => level(row) && kind(row) && (!words || words(row)));
  const kinds = [...new Set(all.map(({ row }) => row.kind))].sort();
  const chosen = store.rows("log").get(id);
  const run = chosen?.run && html`<a href=${address("now", chosen.run)}>Its run</a>`;
  return html`<div class="filters">
      <${Search} query=${query} label="Filter the log" />
      <${Choice} name="level" label="Level" query=${query} options=${CHOICES} />
      <${Choice} name="kind" label="Kind of event" query=${query}
        options=${[["", "all events"], ...kinds.map((kind) => [kind, kind])]} />
      <button aria-pressed=${Boolean(held)}
        onClick=${() => setHeld(held ? null : all)}>${held ? "Go on" : "Pause"}</button>
      <${Since} />
    </div>
    <${Split} id=${id} title="Log entry" row=${chosen} actions=${run}>
      <${Table} label="Log" columns=${columns} rows=${rows} chosen=${id}
        link=${({ key }) => address("log", key, query)} />
    <//>`;
}
