// How many a second: the change of a counter over the last seconds that this tab has seen.
const SPAN = 10; // seconds

const seen = new Map(); // key -> [[time, value], ...], oldest first

export function rate(key, value, now) {
  const samples = seen.get(key) ?? [];
  seen.set(key, samples);
  const newest = samples.at(-1);
  if (newest && value < newest[1]) samples.length = 0; // the pool began anew
  if (!newest || now - newest[0] >= 0.5) samples.push([now, value]);
  while (samples.length > 2 && now - samples[1][0] >= SPAN) samples.shift();
  const [since, before] = samples[0] ?? [now, value];
  return now - since < 0.5 ? 0 : (value - before) / (now - since);
}

export function forget(keys) {
  for (const key of seen.keys()) if (!keys.has(key)) seen.delete(key);
}
