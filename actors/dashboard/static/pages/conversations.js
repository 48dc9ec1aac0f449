// Conversations: what the storage keeps, with what was said and which tools were called.
import { useRequest } from "../request.js";
import { Json, Search, Table, Text, address, clip, count, html, money, setQuery, store, time, tokens } from "../kit.js";

const columns = [
  { title: "Conversation", cell: (row) => row.title },
  { title: "Node", cell: (row) => row.node },
  { title: "Time", cell: (row) => time(row.at), kind: "time" },
  { title: "Messages", cell: (row) => count(row.messages), kind: "number" },
  { title: "Cost", cell: (row) => money(row.cost), kind: "number wide" },
];

export function Conversations({ id, query }) {
  if (store.pool().has_storage === false) {
    return html`<p class="empty">Nothing is kept: add a section "storage" to the manifest.</p>`;
  }
  return id ? html`<${Transcript} id=${id} query=${query} />` : html`<${List} query=${query} />`;
}

function List({ query }) {
  const before = query.before && { before: query.before };
  const wanted = new URLSearchParams({ query: query.q ?? "", limit: 50, ...before });
  const { value, error } = useRequest(`./api/conversations?${wanted}`);
  const rows = (value?.conversations ?? []).map((row) => ({ key: row.id, row, depth: 0 }));
  return html`<div class="filters"><${Search} query=${query} label="Search conversations" />
      ${query.before && html`<button onClick=${() => setQuery("before", "")}>Newest</button>`}
      ${value?.more && html`<button onClick=${() => setQuery("before", `${rows.at(-1).row.at}`)}>Older</button>`}</div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <${Table} label="Conversations" columns=${columns} rows=${rows} empty=${value ? "Nothing found." : "Reading…"}
      link=${({ key }) => address("conversations", key, query)} />`;
}

function Transcript({ id, query }) {
  const { value, error } = useRequest(`./api/conversations/${encodeURIComponent(id)}`);
  return html`<p><a href=${address("conversations", "", query)}>All conversations</a> <span dir="auto">${id}</span></p>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <ol class="transcript">${(value?.messages ?? []).map((message) => html`<${Message} message=${message} />`)}</ol>`;
}

function Message({ message }) {
  const { at, node, role, text, tool_calls: calls = [], model, cost } = message;
  return html`<li class=${role}>
    <header><b dir="auto">${clip(node || role)}</b> <span>${clip(role, 40)}</span> <time>${time(at)}</time>
      ${model && html`<small>${clip(model)}, tokens ${tokens(message)}, ${money(cost)}</small>`}</header>
    ${text && html`<${Text} text=${text} />`}
    ${calls.map((call) => html`<details>
      <summary dir="auto">Tool ${clip(call.name)}${call.error ? " failed" : ""}</summary>
      <h3>Arguments</h3><${Json} text=${call.arguments} />
      <h3>${call.error ? "Error" : "Result"}</h3><${Json} text=${call.error || call.result} /></details>`)}
  </li>`;
}
