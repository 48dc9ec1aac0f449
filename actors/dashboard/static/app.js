// The frame around every page: navigation, state of the connection, theme; it draws the page that the address names.
import { render } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useState } from "./vendor/preact-hooks.js";
import { Dialogs } from "./actions.js";
import { clip, count, duration, time } from "./format.js";
import { html } from "./html.js";
import { Approvals } from "./pages/approvals.js";
import { Conversations } from "./pages/conversations.js";
import { Costs } from "./pages/costs.js";
import { Flow } from "./pages/flow.js";
import { Log } from "./pages/log.js";
import { Now } from "./pages/now.js";
import { Problems } from "./pages/problems.js";
import { Tree } from "./pages/tree.js";
import { Triggers } from "./pages/triggers.js";
import { address, close, useRoute } from "./router.js";
import { start, store, useStore } from "./store.js";

const PAGES = {
  now: { title: "Now", page: Now, badge: () => store.rows("runs").size },
  tree: { title: "Tree", page: Tree },
  flow: { title: "Flow", page: Flow },
  conversations: { title: "Conversations", page: Conversations },
  problems: { title: "Problems", page: Problems, badge: () => store.rows("failures").size + store.rows("dead").size },
  costs: { title: "Costs", page: Costs },
  triggers: { title: "Triggers", page: Triggers },
  approvals: { title: "Approvals", page: Approvals, badge: () => store.rows("approvals").size },
  log: { title: "Log", page: Log },
};
const THEMES = { "light dark": "System", light: "Light", dark: "Dark" };

function App() {
  useStore();
  const route = useRoute();
  const { title, page } = PAGES[route.page] ?? PAGES.now;
  const pool = store.pool();
  useEffect(() => {
    const waiting = store.rows("approvals").size;
    document.title = `${waiting ? `(${waiting}) ` : ""}${title} – ${pool.name ?? "Understage"}`;
  });
  const tabs = Object.entries(PAGES).map(
    ([name, entry]) => html`<${Tab} name=${name} entry=${entry} current=${page === entry.page} />`,
  );
  const facts = [`${count(pool.actors)} actors`, pool.dropped_events && `${count(pool.dropped_events)} events dropped`];
  return html`<button class="skip" onClick=${() => document.getElementById("main").focus()}>Skip to the page</button>
    <${Banner} />
    <header class="top">
      <strong dir="auto">${clip(pool.name ?? "Understage")}</strong>
      <span class=${`state ${pool.status ?? ""}`}>${pool.status ?? "connecting"}</span>
      <span class="facts">${[...facts, clip(pool.trouble)].filter(Boolean).join(", ")}</span>
      <${Theme} />
    </header>
    <nav aria-label="Pages">${tabs}</nav>
    <main id="main" tabindex="-1" aria-label=${title}><h1>${title}</h1><${page} key=${title} ...${route} /></main>
    <${Dialogs} />`;
}

function Tab({ name, entry, current }) {
  const badge = entry.badge?.();
  const number = badge ? html` <b>${count(badge)}</b>` : "";
  return html`<a href=${address(name)} aria-current=${current ? "page" : undefined}>${entry.title}${number}</a>`;
}

function Banner() {
  const { state, since } = store.status;
  if (state === "live") return html`<div role="status"></div>`;
  const [at, passed] = [time(since / 1000), duration((Date.now() - since) / 1000)];
  const texts = {
    connecting: "Connecting…",
    lost: `Connection lost since ${at} (${passed}): what you see is old. Trying again…`,
    refused: `The server refuses this browser since ${at}: open the address with the token that it printed.`,
  };
  return html`<div role="status" class="banner">${texts[state]}</div>`;
}

function Theme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("theme") ?? "light dark");
  useLayoutEffect(() => {
    document.documentElement.style.colorScheme = theme;
    localStorage.setItem("theme", theme);
    dispatchEvent(new Event("theme"));
  }, [theme]);
  return html`<select aria-label="Colours" value=${theme} onChange=${(event) => setTheme(event.target.value)}>
    ${Object.entries(THEMES).map(([value, text]) => html`<option value=${value}>${text}</option>`)}
  </select>`;
}

addEventListener("keydown", (event) => {
  const elsewhere = document.querySelector("dialog[open]") || event.target.matches("input, select");
  if (event.key === "Escape" && !elsewhere) close();
});
start();
render(html`<${App} />`, document.body);
