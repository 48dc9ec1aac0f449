// Problems: what failed, what could not be delivered, and what held up the loop; dead letters can be sent again.
import { Action } from "../actions.js";
import { Detail } from "../detail.js";
import { Search, matcher } from "../filter.js";
import { count, duration, time } from "../format.js";
import { html } from "../html.js";
import { address } from "../router.js";
import { store } from "../store.js";
import { Table } from "../table.js";

const failures = [
  { title: "Node", cell: (row) => row.node, sort: (row) => row.node },
  { title: "Time", cell: (row) => time(row.at), sort: (row) => row.at, kind: "time" },
  { title: "Error", cell: (row) => `${row.error_type}: ${row.error}`, kind: "text" },
  { title: "Took", cell: (row) => duration(row.duration), sort: (row) => row.duration, kind: "number wide" },
];
const letters = [
  { title: "Target", cell: (row) => row.target, sort: (row) => row.target },
  { title: "Time", cell: (row) => time(row.at), sort: (row) => row.at, kind: "time" },
  { title: "Reason", cell: (row) => row.reason, sort: (row) => row.reason },
  { title: "Message", cell: (row) => row.message_type, kind: "wide" },
  { title: "Text", cell: (row) => row.text, kind: "text" },
  { title: "Replays", cell: (row) => count(row.replays), sort: (row) => row.replays, kind: "number" },
];
const blocked = [
  { title: "Time", cell: (row) => time(row.at), kind: "time" },
  { title: "For", cell: (row) => duration(row.duration), sort: (row) => row.duration, kind: "number" },
  { title: "Where", cell: (row) => row.where, kind: "text" },
];
const FIELDS = ["node", "error_type", "error", "conversation", "target", "sender", "message_type", "reason", "text", "where"];

const Replay = ({ name, ids, ask, label }) => html`<${Action} name=${name} path=${["dead", "replay"]} body=${{ ids }} ask=${ask} label=${label} disabled=${!ids.length} />`;
const One = ({ id, row }) => html`<${Replay} name="Replay" ids=${row.can_replay ? [id] : []} label=${`Replay the message to ${row.target}`}
  ask=${`Send this message to ${row.target} again?${row.replays ? ` It was replayed ${row.replays} times already.` : ""}`} />`;

export function Problems({ id, query }) {
  const words = matcher(query.q, FIELDS);
  const rows = (table) => store.list(table).filter(({ row }) => !words || words(row)).toReversed();
  const dead = rows("dead");
  const ids = dead.filter(({ row }) => row.can_replay).map(({ key }) => key);
  const link = ({ key }) => address("problems", key, query);
  const letter = store.rows("dead").get(id);
  const row = letter ?? store.rows("failures").get(id) ?? store.rows("blocked").get(id);
  return html`<div class="filters"><${Search} query=${query} label="Filter problems" /></div>
    <div class="split"><section>
      <h2>Failed runs</h2>
      <${Table} label="Failed runs" columns=${failures} rows=${rows("failures")} chosen=${id} link=${link} empty="No run failed." />
      <h2>Dead letters <${Replay} name=${`Replay all ${count(ids.length)} shown`} ids=${ids}
        ask=${`Send ${count(ids.length)} messages to their targets again?`} label="Replay all dead letters that the filter shows" /></h2>
      <${Table} label="Dead letters" columns=${letters} rows=${dead} chosen=${id} link=${link} empty="Every message was delivered."
        actions=${({ key, row: each }) => html`<${One} id=${key} row=${each} />`} />
      <h2>Blocked loop</h2>
      <${Table} label="Blocked loop" columns=${blocked} rows=${rows("blocked")} chosen=${id} link=${link} empty="The loop was never held up." />
    </section>
    ${id && html`<${Detail} title=${row?.node ?? row?.target ?? "Problem"} row=${row}>
      ${letter && html`<${One} id=${id} row=${letter} />`}
      ${row?.conversation && html`<a href=${address("conversations", row.conversation)}>Its conversation</a>`}<//>`}
    </div>`;
}
