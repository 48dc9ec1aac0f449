// Approvals: tool calls that wait for a person, with what they would do.
import { Action, Json, address, clip, duration, html, store, time, useState } from "../kit.js";

export function Approvals({ id }) {
  const waiting = store.list("approvals");
  const shown = waiting.toSorted((one, other) => one.row.since - other.row.since);
  if (!shown.length) return html`<p class="empty">No tool call waits for a person.</p>`;
  const cards = shown.map(({ key, row }) => html`<${Card} key=${key} id=${key} row=${row} chosen=${key === id} />`);
  return html`<ol class="approvals">${cards}</ol>`;
}

function Card({ id, row, chosen }) {
  const [reason, setReason] = useState("");
  const path = (verdict) => ["approvals", row.run, row.call, verdict];
  return html`<li class=${chosen ? "chosen" : ""}>
    <h2><a href=${address("approvals", id)} dir="auto">${clip(row.tool)}</a></h2>
    <p>asked for by <a href=${address("now", row.run)} dir="auto">${clip(row.node)}</a>${", "}
      waits since ${time(row.since)} (${duration(store.now() - row.since)})</p>
    <${Json} text=${row.arguments} />
    <div class="actions">
      <${Action} name="Approve" path=${path("approve")} label=${`Approve ${row.tool} for ${row.node}`} />
      <input aria-label="Reason to deny" placeholder="Reason to deny" value=${reason}
        onInput=${(event) => setReason(event.target.value)} />
      <${Action} name="Deny" path=${path("deny")} body=${{ reason }} label=${`Deny ${row.tool} to ${row.node}`} />
    </div>
  </li>`;
}
