// How a tab gets the feed: from the shared worker; without one from the tab that leads; without locks by itself.
import { Feed } from "./feed.js";

const address = new URL("./api/stream", location);

export function join(take) {
  if (globalThis.SharedWorker) fromWorker(take);
  else if (navigator.locks) fromLeader(take);
  else new Feed(address, take);
}

function fromWorker(take) {
  const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.port.onmessage = ({ data }) => take(data);
  addEventListener("pagehide", () => worker.port.postMessage("bye"));
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

function fromLeader(take) {
  const name = `understage ${address}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }) => data.kind !== "hello" && take(data);
  channel.postMessage({ kind: "hello" });
  const lead = () => {
    const tell = (message) => {
      take(message);
      channel.postMessage(message);
    };
    const feed = new Feed(address, tell);
    channel.onmessage = ({ data }) => {
      if (data.kind !== "hello") return;
      channel.postMessage(feed.whole());
      channel.postMessage(feed.status);
    };
    return new Promise(() => {}); // the lock is held as long as this tab lives; then the next in line leads
  };
  navigator.locks.request(name, lead);
}
