// What pages are made of, in one place, so that a page has one import.
export { Action } from "./actions.js";
export { Split } from "./detail.js";
export { Choice, Search, matcher } from "./filter.js";
export { clip, count, duration, money, time, tokens } from "./format.js";
export { html } from "./html.js";
export { address, setQuery } from "./router.js";
export { store } from "./store.js";
export { Table, withHost } from "./table.js";
export { Json, Since, State, Text } from "./text.js";
export { treeRows } from "./tree_rows.js";
export { useMemo, useState } from "./vendor/preact-hooks.js";
