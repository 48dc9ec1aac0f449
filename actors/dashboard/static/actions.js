// What changes something in the pool: asked for first where it cannot be taken back, and its answer told.
import { useLayoutEffect, useRef, useState } from "./vendor/preact-hooks.js";
import { clip } from "./format.js";
import { html } from "./html.js";
import { store } from "./store.js";

const SHOWN = 8000; // milliseconds that an answer stays

let show = () => {}; // set by the one <Dialogs>
let tell = () => {};

export async function act(path, body = {}) {
  try {
    const answer = await fetch(`./api/${path.map(encodeURIComponent).join("/")}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
    tell(told.error ?? told.text ?? "done", Boolean(told.error));
  } catch {
    tell("the server could not be reached: look whether it was done before you try again", true);
  }
}

// A button of an action; with `ask` it asks first, and does nothing unless told to.
export function Action({ name, path, body, ask, label, disabled }) {
  const allowed = store.pool().can_act !== false;
  const run = () => (ask ? show({ name, ask, run: () => act(path, body) }) : act(path, body));
  const title = allowed ? label : "this dashboard only looks";
  return html`<button class="action" disabled=${disabled || !allowed} title=${title} aria-label=${label}
    onClick=${run}>${name}</button>`;
}

export function Dialogs() {
  const [question, setQuestion] = useState(null);
  const [told, setTold] = useState([]);
  const dialog = useRef();
  show = setQuestion;
  tell = (text, error) => {
    const entry = { text, error };
    setTold((all) => [...all, entry].slice(-4));
    setTimeout(() => setTold((all) => all.filter((other) => other !== entry)), SHOWN);
  };
  useLayoutEffect(() => void (question && dialog.current.showModal()), [question]);
  const done = (yes) => {
    dialog.current.close();
    if (yes) question.run();
  };
  return html`${question &&
    html`<dialog ref=${dialog} aria-label=${question.name} onClose=${() => setQuestion(null)}>
      <p dir="auto">${clip(question.ask, 500)}</p>
      <div class="actions">
        <button onClick=${() => done(false)}>Leave it</button>
        <button class="danger" onClick=${() => done(true)}>${question.name}</button>
      </div>
    </dialog>`}
    <div class="told" role="status">
      ${told.map(({ text, error }) => html`<p class=${error ? "error" : ""} dir="auto">${clip(text, 2000)}</p>`)}
    </div>`;
}
