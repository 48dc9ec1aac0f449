// Texts that others wrote: of a long one only the beginning is put into the page, until the reader asks for all.
import { useState } from "./vendor/preact-hooks.js";
import { clip, count } from "./format.js";
import { html } from "./html.js";

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
    const value = typeof text === "string" ? JSON.parse(text) : text;
    return html`<${Text} text=${JSON.stringify(value, null, 2)} />`;
  } catch {
    return html`<${Text} text=${text} />`;
  }
}

// A state in the colour that style.css gives to its word.
export function State({ state }) {
  const word = clip(state, 40);
  return html`<span class=${`state ${word}`}>${word}</span>`;
}
