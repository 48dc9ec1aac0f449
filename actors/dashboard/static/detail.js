// A list whose rows open: next to it all fields of the row that the address names; Escape closes them.
import { clip, field } from "./format.js";
import { html } from "./html.js";
import { close } from "./router.js";
import { Text } from "./text.js";

export function Split({ id, children, ...detail }) {
  return html`<div class="split"><section>${children}</section>${id && html`<${Detail} ...${detail} />`}</div>`;
}

function Detail({ title, row, actions }) {
  const fields = Object.entries(row ?? {}).map(
    ([name, value]) => html`<dt key=${name}>${name.replaceAll("_", " ")}</dt>
      <dd key=${name + "="}><${Text} text=${field(name, value)} /></dd>`,
  );
  return html`<aside aria-label=${title}>
    <header><h2 dir="auto">${clip(title)}</h2>
      <button onClick=${close} aria-label="Close the details">×</button></header>
    ${row && html`<div class="actions">${actions}</div><dl>${fields}</dl>`}
    ${!row && html`<p>This row is not in the feed any more: it has ended, or has begun anew.</p>`}
  </aside>`;
}
