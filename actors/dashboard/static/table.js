// A table of any length: only the rows in view are in the document. Tab stops at one row, arrows move between rows.
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact-hooks.js";
import { clip, count } from "./format.js";
import { html } from "./html.js";
import { store } from "./store.js";

const ROW = 32; // pixels, as style.css says
const MORE = 6; // rows above and below those in view

const MOVES = {
  ArrowDown: (index) => index + 1,
  ArrowUp: (index) => index - 1,
  PageDown: (index, page) => index + page,
  PageUp: (index, page) => index - page,
  Home: () => 0,
  End: () => Infinity,
};

// columns: {title, cell(row, item), sort(row), kind}, of kinds number, time, text and wide (not on a narrow screen);
// rows: {key, row, depth}.
export function Table({ label, columns, rows, link, chosen, actions, lead, empty = "Nothing here." }) {
  const box = useRef();
  const wanted = useRef(null);
  const held = useRef(false); // a row that has the focus may leave the document, and the focus comes back with it
  const [view, setView] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState(null);
  const [order, setOrder] = useState(null);

  const sorted = order ? ordered(rows, columns[order.column].sort, order.down) : rows;
  const first = Math.min(Math.max(0, Math.floor(view.top / ROW) - MORE), Math.max(0, sorted.length - 1));
  const shown = sorted.slice(first, first + Math.ceil(view.height / ROW) + 2 * MORE);
  const at = Math.max(0, sorted.findIndex(({ key }) => key === active));

  const measure = () => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const isLost = held.current && document.activeElement === document.body;
    const target = (wanted.current || isLost) && box.current.querySelector(`tr[data-active] a`);
    if (!target) return;
    target.focus({ preventScroll: true });
    wanted.current = null;
  });

  const move = (event) => {
    const index = MOVES[event.key]?.(at, Math.floor(view.height / ROW) - 2);
    if (index === undefined || event.target.matches("input, select")) return;
    event.preventDefault();
    const to = Math.min(Math.max(0, index), sorted.length - 1);
    const top = to * ROW;
    if (top < box.current.scrollTop) box.current.scrollTop = top;
    const bottom = top + 2 * ROW - box.current.clientHeight; // the head of the table covers one row
    if (bottom > box.current.scrollTop) box.current.scrollTop = bottom;
    wanted.current = true;
    setActive(sorted[to].key);
    measure();
  };
  const turn = (column) => {
    if (order?.column !== column) setOrder({ column, down: true });
    else setOrder(order.down ? { column, down: false } : null);
  };

  const head = columns.map(({ title, sort, kind }, column) => {
    const direction = order?.column === column ? (order.down ? "descending" : "ascending") : undefined;
    const name = sort ? html`<button onClick=${() => turn(column)}>${title}</button>` : title;
    return html`<th scope="col" class=${kind} aria-sort=${direction}>${name}</th>`;
  });
  const space = (key, count) =>
    html`<tr class="space" key=${key} aria-hidden="true" style=${{ height: `${count * ROW}px` }}></tr>`;
  const body = shown.map((item, offset) => {
    const index = first + offset;
    const tab = index === at ? 0 : -1;
    return html`<tr key=${item.key} data-active=${index === at || undefined} aria-rowindex=${index + 2}
        class=${item.key === chosen ? "chosen" : ""} onFocusIn=${() => setActive(item.key)}>
      ${columns.map(({ cell, kind }, column) => {
        const value = cell(item.row, item);
        const shown = typeof value === "string" ? clip(value) : value;
        const first = () => html`<span class="first" style=${{ paddingLeft: `${item.depth * 16}px` }}>${lead?.(item)}
          <a href=${link(item)} tabindex=${tab} dir="auto">${shown || "–"}</a></span>`;
        const title = value?.length > 12 ? clip(value, 1000) : "";
        return html`<td class=${kind} title=${title}>${column ? shown : first()}</td>`;
      })}
      ${actions && html`<td class="actions">${actions(item)}</td>`}
    </tr>`;
  });
  return html`<div class="table" ref=${box} onScroll=${measure}>
    <table aria-label=${label} aria-rowcount=${sorted.length + 1}>
      <thead><tr>${head}${actions && html`<th class="actions">Actions</th>`}</tr></thead>
      <tbody onKeyDown=${move} onFocusIn=${() => (held.current = true)}
        onFocusOut=${(event) => (held.current &&= !event.relatedTarget)}>
        ${space("above", first)}${body}${space("below", sorted.length - first - shown.length)}
      </tbody>
    </table>
    ${sorted.length === 0 && html`<p class="empty">${empty}</p>`}
  </div>
  <p class="count">${count(sorted.length)} ${sorted.length === 1 ? "row" : "rows"}</p>`;
}

const HOST = { title: "Host", cell: (row) => row.host ?? store.pool().host, sort: (row) => row.host ?? "" };

// The columns of a table; in a cluster they say at which host a row is.
export const withHost = (columns) => (store.pool().host ? columns.toSpliced(1, 0, HOST) : columns);

function ordered(rows, value, down) {
  const sign = down ? -1 : 1;
  const known = (item) => value(item.row) ?? (down ? -Infinity : Infinity);
  return rows.toSorted((one, other) => {
    const [a, b] = [known(one), known(other)];
    return a < b ? -sign : a > b ? sign : 0;
  });
}
