// Texts that others wrote: of a long one only the beginning is put into the page, until the reader asks for all.
import { useState } from "./vendor/preact-hooks.js";
import { clip, count, time } from "./format.js";
import { html } from "./html.js";
import { store } from "./store.js";

const SHOWN = 20000; // characters

export function Text({ text }) {
  const [all, setAll] = useState(false);
  const whole = String(text ?? "");
  if (whole.length <= SHOWN || all) return html`<pre dir="auto">${whole}</pre>`;
  return html`<pre dir="auto">${whole.slice(0, SHOWN)}…</pre>
    <button onClick=${() => setAll(true)}>Show all ${count(whole.length)} characters</button>`;
}

// Arguments of a tool come as JSON text, mostly: shown with indents if so, as they are if not.
export function Json({ text }) {
  try {
    return html`<${Text} text=${JSON.stringify(JSON.parse(text), null, 2)} />`;
  } catch {
    return html`<${Text} text=${text} />`;
  }
}

// Since when events are followed: what only they tell is counted from then on.
export const Since = () => html`<small title="counted while a page is open">since ${time(store.pool().since)}</small>`;

// A state in the colour that style.css gives to its word.
export function State({ state }) {
  const word = clip(state, 40);
  return html`<span class=${`state ${word}`}>${word}</span>`;
}
