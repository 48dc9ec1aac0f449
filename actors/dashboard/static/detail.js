// All fields of the row that the address names; Escape closes it.
import { clip, field } from "./format.js";
import { html } from "./html.js";
import { close } from "./router.js";
import { Text } from "./text.js";

export function Detail({ title, row, children }) {
  const fields = Object.entries(row ?? {}).map(
    ([name, value]) => html`<dt key=${name}>${name.replaceAll("_", " ")}</dt>
      <dd key=${name + "="}><${Text} text=${field(name, value)} /></dd>`,
  );
  return html`<aside aria-label=${title}>
    <header><h2 dir="auto">${clip(title)}</h2><button class="close" onClick=${close} aria-label="Close the details">×</button></header>
    ${row ? html`<div class="actions">${children}</div><dl>${fields}</dl>` : html`<p>This row is not in the feed any more.</p>`}
  </aside>`;
}
