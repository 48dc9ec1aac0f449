// One connection to the server: keeps the tables whole, hands on each change, connects anew after a gap or a loss.
import { Tables } from "./tables.js";

const RETRY = 1000; // milliseconds
const SILENCE = 45000; // the server writes a comment every 15 seconds: after three missed ones the connection is dead

class Gap extends Error {}

export class Feed {
  constructor(address, tell, { retry = RETRY, silence = SILENCE } = {}) {
    Object.assign(this, { address, tell, retry, silence, tables: new Tables(), seq: NaN, partial: null, offset: 0 });
    this.status = { kind: "status", state: "connecting", since: Date.now() };
    this.#run();
  }

  // What a tab that joins needs first.
  whole() {
    return { kind: "snapshot", tables: this.tables.whole(), offset: this.offset };
  }

  async #run() {
    for (;;) {
      const error = await this.#connect().catch((error) => error);
      const gap = error instanceof Gap;
      if (!gap) this.#say(error?.refused ? "refused" : "lost");
      await new Promise((resolve) => setTimeout(resolve, gap ? this.retry / 10 : this.retry));
    }
  }

  async #connect() {
    const abort = new AbortController();
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort(), this.silence);
    };
    this.partial = null;
    try {
      alive();
      const answer = await fetch(this.address, { signal: abort.signal, cache: "no-store" });
      if (!answer.ok) throw Object.assign(new Error(), { refused: [401, 403].includes(answer.status) });
      for await (const frame of frames(answer.body, alive)) this.#take(frame);
    } finally {
      clearTimeout(watch);
      abort.abort();
    }
  }

  #take({ event, data }) {
    const message = JSON.parse(data);
    this.offset = message.now - Date.now() / 1000;
    if (event === "snapshot") return this.#snapshot(message);
    if (this.partial || message.seq !== this.seq + 1) throw new Gap();
    this.seq = message.seq;
    this.tables.apply(message.tables);
    this.tell({ kind: "delta", tables: message.tables, offset: this.offset });
  }

  #snapshot({ seq, tables, parts = 1 }) {
    if (this.partial?.seq !== seq) this.partial = { seq, count: 0, tables: new Tables() };
    this.partial.tables.apply(tables);
    if (++this.partial.count < parts) return;
    this.tables = this.partial.tables;
    this.seq = seq;
    this.partial = null;
    this.tell(this.whole());
    this.#say("live");
  }

  #say(state) {
    if (state === this.status.state) return;
    this.status = { kind: "status", state, since: Date.now() };
    this.tell(this.status);
  }
}

// Server-sent events, read by hand: an EventSource shows neither a refusal nor the comments that prove life.
async function* frames(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const text of whole) {
      const lines = text.split("\n");
      const field = (name) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length));
      const data = field("data: ").join("\n");
      if (data) yield { event: field("event: ")[0], data };
    }
  }
}
