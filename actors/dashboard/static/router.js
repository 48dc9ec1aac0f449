// Addresses after the #: a page, the id of a row, and the filters of the page, so that all of it can be linked.
import { useEffect, useState } from "./vendor/preact-hooks.js";

export function address(page, id = "", query = "") {
  const text = new URLSearchParams(query).toString();
  return `#/${page}${id === "" ? "" : "/" + encodeURIComponent(id)}${text && "?" + text}`;
}

function route() {
  const [path, query] = location.hash.slice(2).split("?");
  const [page, ...rest] = path.split("/");
  return { page: page || "now", id: decoded(rest.join("/")), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Sets one filter of the page that is shown, without a new entry in the browser's history.
export function setQuery(name, value) {
  const { page, id, query } = route();
  const { [name]: _, ...others } = query;
  history.replaceState(null, "", address(page, id, value ? { ...others, [name]: value } : others));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function close() {
  const { page, id, query } = route();
  if (id) location.hash = address(page, "", query);
}

export function useRoute() {
  const [current, setCurrent] = useState(route);
  useEffect(() => {
    const follow = () => setCurrent(route());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return current;
}
