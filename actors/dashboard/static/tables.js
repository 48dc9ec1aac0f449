// The tables of the feed: name -> key -> row. A table that only grows keeps its newest rows.
const LIMITS = { log: 2000, failures: 500, dead: 2000, blocked: 100, costs: 5000 };

export class Tables {
  #tables = new Map();
  #versions = new Map();

  // The rows of one table in the order they came.
  rows(name) {
    if (!this.#tables.has(name)) this.#tables.set(name, new Map());
    return this.#tables.get(name);
  }

  // Changes whenever a row of the table does.
  version(name) {
    return this.#versions.get(name) ?? 0;
  }

  apply(changes) {
    for (const [name, { set = {}, gone = [] }] of Object.entries(changes)) {
      const rows = this.rows(name);
      for (const [key, row] of Object.entries(set)) rows.set(key, row);
      for (const key of gone) rows.delete(key);
      const over = rows.size - (LIMITS[name] ?? Infinity);
      if (over > 0) for (const key of [...rows.keys()].slice(0, over)) rows.delete(key);
      this.#versions.set(name, this.version(name) + 1);
    }
  }

  // Everything, in the form that `apply` takes.
  whole() {
    return Object.fromEntries([...this.#tables].map(([name, rows]) => [name, { set: Object.fromEntries(rows) }]));
  }

  // Becomes these rows and no others; versions go on, so that whoever remembers one sees the change.
  replace(changes) {
    for (const [name, rows] of this.#tables) {
      rows.clear();
      this.#versions.set(name, this.version(name) + 1);
    }
    this.apply(changes);
  }
}
