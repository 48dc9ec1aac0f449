// Problems: what failed, what could not be delivered, and what held up the loop; dead letters can be sent again.
import { Action, Search, Since, Split, Table, address, count, duration, html, matcher, store, time } from "../kit.js";

const failures = [
  { title: "Node", cell: (row) => row.node, sort: (row) => row.node },
  { title: "Time", cell: (row) => time(row.at), sort: (row) => row.at, kind: "time" },
  { title: "Error", cell: (row) => `${row.error_type}: ${row.error}` },
  { title: "Took", cell: (row) => duration(row.duration), sort: (row) => row.duration, kind: "time number wide" },
];
const why = ({ reason, error }) => (error ? `${reason}: ${error}` : reason);
const letters = [
  { title: "Target", cell: (row) => row.target, sort: (row) => row.target },
  { title: "Time", cell: (row) => time(row.at), sort: (row) => row.at, kind: "time" },
  { title: "Reason", cell: why, sort: why },
  { title: "Text", cell: (row) => row.text, kind: "text" },
  { title: "Replays", cell: (row) => count(row.replays), sort: (row) => row.replays, kind: "number wide" },
];
const blocked = [
  { title: "Time", cell: (row) => time(row.at), kind: "time" },
  { title: "For", cell: (row) => duration(row.duration), sort: (row) => row.duration, kind: "time number" },
  { title: "Where", cell: (row) => row.where },
];
const FIELDS = ["node", "error_type", "error", "conversation", "target", "sender", "message_type", "reason", "text"];

const Replay = ({ ids, ...rest }) =>
  html`<${Action} path=${["dead", "replay"]} body=${{ ids }} disabled=${!ids.length} ...${rest} />`;

function One({ id, row }) {
  const before = row.replays ? ` It was replayed ${row.replays} times already.` : "";
  return html`<${Replay} name="Replay" ids=${row.can_replay ? [id] : []} label=${`Replay the message to ${row.target}`}
    ask=${`Send this message to ${row.target} again?${before}`} />`;
}

function List({ title, since, children, ...rest }) {
  return html`<h2>${title} ${since && html`<${Since} />`} ${children}</h2><${Table} label=${title} ...${rest} />`;
}

export function Problems({ id, query }) {
  const words = matcher(query.q, FIELDS);
  const all = (table) => store.list(table).map((item) => ({ ...item, id: item.key, key: `${table}:${item.key}` }));
  const rows = (table) => all(table).filter(({ row }) => !words || words(row)).toReversed();
  const dead = rows("dead");
  const ids = dead.filter(({ row }) => row.can_replay).map((letter) => letter.id);
  const link = ({ key }) => address("problems", key, query);
  const row = ["failures", "dead", "blocked"].flatMap(all).find(({ key }) => key === id)?.row;
  const shown = { link, chosen: id };
  const talk = row?.conversation && html`<a href=${address("conversations", row.conversation)}>Its conversation</a>`;
  const actions = row && "can_replay" in row ? html`<${One} id=${id.slice("dead:".length)} row=${row} />` : talk;
  return html`<div class="filters"><${Search} query=${query} label="Filter problems" /></div>
    <${Split} id=${id} title=${row?.node ?? row?.target ?? "Problem"} row=${row} actions=${actions}>
      <${List} title="Failed runs" columns=${failures} rows=${rows("failures")} ...${shown} since
        empty="No run failed." />
      <${List} title="Dead letters" columns=${letters} rows=${dead} ...${shown} empty="Every message was delivered."
        actions=${(letter) => html`<${One} id=${letter.id} row=${letter.row} />`}>
        <${Replay} name=${`Replay all ${count(ids.length)} shown`} ids=${ids}
          ask=${`Send ${count(ids.length)} messages to their targets again?`} label="Replay all shown" />
      <//>
      <${List} title="Blocked loop" columns=${blocked} rows=${rows("blocked")} ...${shown} since empty="Never." />
    <//>`;
}
