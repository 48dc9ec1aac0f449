// Filters of a page: kept in the address, so that what a person sees can be sent to another.
import { clip } from "./format.js";
import { html } from "./html.js";
import { setQuery } from "./router.js";

export function Search({ name = "q", label = "Filter", query }) {
  return html`<input type="search" aria-label=${label} placeholder=${label} value=${query[name] ?? ""}
    onInput=${(event) => setQuery(name, event.target.value)} />`;
}

export function Choice({ name, label, query, options }) {
  return html`<select aria-label=${label} value=${query[name] ?? ""}
    onChange=${(event) => setQuery(name, event.target.value)}>
    ${options.map(([value, text]) => html`<option value=${value}>${clip(text, 40)}</option>`)}
  </select>`;
}

// A test of rows for the words of a search: each must be in one of the fields.
export function matcher(text, fields) {
  const words = (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  return (row) => {
    const all = fields.map((name) => row[name] ?? "").join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  };
}
