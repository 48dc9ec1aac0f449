// Rows with parents in the order of a tree, each with its depth; a filter keeps what matches and what stands above it.
export function treeRows(rows, matches, closed = new Set()) {
  const above = (row) => (rows.has(row.parent) ? row.parent : "");
  const kept = new Set();
  for (const [key, row] of rows) {
    if (matches && !matches(row, key)) continue;
    for (let up = key; up && !kept.has(up); up = above(rows.get(up))) kept.add(up);
  }
  const children = new Map();
  for (const key of rows.keys()) {
    if (!kept.has(key)) continue;
    const parent = above(rows.get(key));
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(key);
  }
  const shown = [];
  const seen = new Set();
  const walk = (start) => {
    const waiting = [[start, 0, false]];
    while (waiting.length) {
      const [key, depth, hidden] = waiting.pop();
      if (seen.has(key)) continue;
      seen.add(key);
      const below = children.get(key) ?? [];
      if (!hidden) shown.push({ key, row: rows.get(key), depth, below: below.length });
      for (const child of below.toReversed()) waiting.push([child, depth + 1, hidden || closed.has(key)]);
    }
  };
  for (const root of children.get("") ?? []) walk(root);
  for (const key of kept) if (!seen.has(key)) walk(key); // parents in a circle have no root
  return shown;
}
