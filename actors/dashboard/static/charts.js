// Lines over time, drawn by uPlot; the legend is ours, because its labels are others' texts.
import { useEffect, useRef, useState } from "./vendor/preact-hooks.js";
import UPlot from "./vendor/uplot.js";
import { clip } from "./format.js";
import { html } from "./html.js";

const COLOURS = ["#3b82f6", "#f97316", "#10b981", "#a855f7", "#eab308", "#64748b"];
const LINE = { width: 2, points: { show: true, size: 5 } };
const HEIGHT = 240;

// times: Unix seconds; series: {label, values}; show: a value as text.
export function Chart({ label, times, series, show }) {
  const box = useRef();
  const plot = useRef();
  const [theme, setTheme] = useState(0);
  const labels = series.map((line) => line.label).join("\n");
  useEffect(() => {
    const follow = () => setTheme((number) => number + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("theme", follow);
    system.addEventListener("change", follow);
    return () => (removeEventListener("theme", follow), system.removeEventListener("change", follow));
  }, []);
  useEffect(() => {
    const element = box.current; // a ref is empty again before an observer hears of it
    const { color, borderColor } = getComputedStyle(element);
    const axis = { stroke: color, grid: { stroke: borderColor, width: 1 }, ticks: { stroke: borderColor, width: 1 } };
    const options = {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      axes: [axis, { ...axis, size: 80, values: (_, values) => values.map(show) }],
      series: [{}, ...series.map((_, number) => ({ ...LINE, stroke: COLOURS[number] }))],
    };
    plot.current = new UPlot(options, [times, ...series.map((line) => line.values)], element);
    const observer = new ResizeObserver(() => plot.current.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => (observer.disconnect(), plot.current.destroy());
  }, [labels, theme, show]);
  useEffect(() => plot.current.setData([times, ...series.map((line) => line.values)]), [times, series]);
  const names = series.map(
    (line, number) => html`<span><i style=${{ background: COLOURS[number] }}></i>${clip(line.label, 40)}</span>`,
  );
  return html`<figure class="chart"><div ref=${box} role="img" aria-label=${label}></div>
    <figcaption>${names}</figcaption>
  </figure>`;
}
