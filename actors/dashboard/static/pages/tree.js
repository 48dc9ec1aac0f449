// Tree: who supervises whom, and how each actor fares.
import {
  Action, Choice, Search, Split, State, Table, address, count, duration, html, matcher, store, treeRows, useMemo,
  useState, withHost,
} from "../kit.js";

const number = (title, name, kind = "") => {
  return { title, cell: (row) => count(row[name]), sort: (row) => row[name], kind: `number ${kind}` };
};
const columns = [
  { title: "Actor", cell: (row) => row.name },
  { title: "State", cell: (row) => html`<${State} state=${row.state} />`, sort: (row) => row.state },
  { title: "Type", cell: (row) => row.type, sort: (row) => row.type, kind: "wide" },
  number("Waiting", "depth"),
  { title: "Oldest", cell: (row) => duration(row.oldest_age), sort: (row) => row.oldest_age, kind: "number wide" },
  number("Handled", "handled", "wide"),
  number("Failed", "failed"),
  number("Restarts", "restarts"),
  number("Life", "incarnation", "wide"),
  { title: "Last failure", cell: (row) => row.last_failure ?? "", kind: "wide" },
];
const SHOW = {
  "": ["all actors", () => true],
  trouble: ["with failures or restarts", (row) => row.failed > 0 || row.restarts > 0],
  waiting: ["with messages waiting", (row) => row.depth > 0],
  stopped: ["that do not run", (row) => row.state === "stopped"],
};

const Change = ({ name, id, row }) => html`<${Action} name=${name} path=${["actors", id, name.toLowerCase()]}
  label=${`${name} ${row.name}`} disabled=${name === "Stop" && row.state === "stopped"}
  ask=${`${name} ${row.name} and all below it? What it works on now is lost.`} />`;

export function Tree({ id, query }) {
  const actors = store.rows("actors");
  const [closed, setClosed] = useState(new Set());
  const rows = useMemo(() => {
    const words = matcher(query.q, ["name", "host", "type", "state", "node", "last_failure"]);
    const [, fits] = SHOW[query.show] ?? SHOW[""];
    return treeRows(actors, words || query.show ? (row) => fits(row) && (!words || words(row)) : null, closed);
  }, [store.tables.version("actors"), query.q, query.show, closed]);
  const fold = (key) => {
    const next = new Set(closed);
    if (!next.delete(key)) next.add(key);
    setClosed(next);
  };
  const lead = ({ key, row, below }) => below > 0 && html`<button class="fold" tabindex="-1"
    aria-label=${`What stands below ${row.name}`} aria-expanded=${!closed.has(key)}
    onClick=${() => fold(key)}>${closed.has(key) ? "▸" : "▾"}</button>`;
  const row = actors.get(id);
  const change = (name) => html`<${Change} name=${name} id=${id} row=${row} />`;
  const actions = row?.host === store.pool().host && row && ["Stop", "Restart"].map(change);
  return html`<div class="filters"><${Search} query=${query} label="Filter actors" />
      <${Choice} name="show" label="Which actors" query=${query}
        options=${Object.entries(SHOW).map(([value, [text]]) => [value, text])} /></div>
    <${Split} id=${id} title=${row?.name ?? id} row=${row} actions=${actions}>
      <${Table} label="Actors" columns=${withHost(columns)} rows=${rows} chosen=${id} lead=${lead}
        link=${({ key }) => address("tree", key, query)} />
    <//>`;
}
