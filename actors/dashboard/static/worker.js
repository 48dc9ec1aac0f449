// The one connection of all tabs of this browser: HTTP/1.1 allows six to a server, people open more tabs than that.
import { Feed } from "./feed.js";

const ports = new Set();
const feed = new Feed(new URL("../api/stream", self.location), (message) => {
  for (const port of ports) port.postMessage(message);
});

self.onconnect = ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = () => ports.delete(port); // all that a tab says is that it goes
  port.postMessage(feed.whole());
  port.postMessage(feed.status);
};
