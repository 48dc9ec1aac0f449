// Reads what is not in the feed; an answer that comes after a newer question is dropped.
import { useEffect, useState } from "./vendor/preact-hooks.js";

const PAUSE = 250; // milliseconds after the last key before a search is sent

export function useRequest(path) {
  const [answer, setAnswer] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const reply = await fetch(path, { signal: abort.signal, cache: "no-store" });
        const value = await reply.json().catch(() => ({}));
        setAnswer(reply.ok ? { path, value } : { path, error: value.error ?? `the server answered ${reply.status}` });
      } catch (error) {
        if (!abort.signal.aborted) setAnswer({ path, error: "the server could not be reached" });
      }
    }, answer.path ? PAUSE : 0);
    return () => (clearTimeout(timer), abort.abort());
  }, [path]);
  return answer;
}
