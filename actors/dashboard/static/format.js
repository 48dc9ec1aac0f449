// Values as people read them: times in the browser's zone, durations, counts, money, and texts that fit a row.
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

export const count = (value) => (Number.isFinite(value) ? number.format(value) : "");

export function time(seconds) {
  if (!seconds || !Number.isFinite(seconds)) return "";
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// Money comes as the text of a decimal. What has no known price is said, not shown as nothing.
export function money(text, known = true) {
  const value = Number(text ?? 0);
  if (!Number.isFinite(value)) return "";
  const shown = `$${value.toFixed(Math.abs(value) >= 100 ? 2 : 4)}`;
  if (known) return shown;
  return value ? `≥ ${shown}` : "unknown";
}

export const tokens = ({ input_tokens: input, output_tokens: output }) => `${count(input)} / ${count(output)}`;

export function clip(value, length = 200) {
  const text = String(value ?? "");
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

const TIMES = new Set(["at", "started", "since", "next", "last", "time"]);
const DURATIONS = new Set(["duration", "oldest_age", "age"]);

// One field of a row, shown by what its name says it is.
export function field(name, value) {
  if (value === null || value === undefined || value === "") return "–";
  if (TIMES.has(name)) return time(value);
  if (DURATIONS.has(name)) return duration(value);
  if (name === "cost") return money(value);
  if (typeof value === "number") return count(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ") || "–";
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}
