// What this tab knows. Whatever changes, the page is drawn at most twice a second, and not at all while it is hidden.
import { useEffect, useState } from "./vendor/preact-hooks.js";
import { join } from "./share.js";
import { Tables } from "./tables.js";

const PERIOD = 500; // milliseconds between two drawings

export const store = {
  tables: new Tables(),
  status: { state: "connecting", since: Date.now() },
  offset: 0, // seconds that the server's clock is ahead of this one
  redraws: 0,
  now: () => Date.now() / 1000 + store.offset,
  rows: (name) => store.tables.rows(name),
  list: (name) => [...store.rows(name)].map(([key, row]) => ({ key, row, depth: 0 })),
  pool: () => store.rows("pool").values().next().value ?? {},
};

const listeners = new Set();
let timer = 0;
let last = -PERIOD;

function take(message) {
  if (message.kind === "status") store.status = message;
  else {
    store.offset = message.offset;
    if (message.kind === "snapshot") store.tables.replace(message.tables);
    else store.tables.apply(message.tables);
  }
  changed();
}

export function changed() {
  if (!timer && !document.hidden) timer = setTimeout(draw, Math.max(0, last + PERIOD - performance.now()));
}

function draw() {
  timer = 0;
  last = performance.now();
  store.redraws++;
  for (const listener of listeners) listener();
}

export function useStore() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((count) => count + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
}

export function start() {
  document.addEventListener("visibilitychange", changed);
  setInterval(changed, 1000); // elapsed times tick
  join(take);
}
