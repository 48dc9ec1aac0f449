// The graph of nodes and connections: placed anew only when its shape changes, drawn as SVG that we write ourselves.
import { useMemo } from "./vendor/preact-hooks.js";
import { Graph as Layout, layout } from "./vendor/dagre.js";
import { clip } from "./format.js";
import { html } from "./html.js";

const WIDTH = 150;
const HEIGHT = 44;

// nodes: {name, note, state, link}; edges: {key, source, target, note, kind}.
// Names are others' texts: the layout gets numbers.
function placed(nodes, edges) {
  const numbers = new Map(nodes.map(({ name }, number) => [name, `n${number}`]));
  const graph = new Layout({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 70, marginx: 8, marginy: 8 });
  for (const number of numbers.values()) graph.setNode(number, { width: WIDTH, height: HEIGHT });
  const known = edges.filter(({ source, target }) => numbers.has(source) && numbers.has(target));
  const ends = known.map(({ source, target }, name) => ({ v: numbers.get(source), w: numbers.get(target), name }));
  for (const edge of ends) graph.setEdge(edge, {});
  layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    width: Math.max(width, WIDTH),
    height: Math.max(height, HEIGHT),
    nodes: new Map([...numbers].map(([name, number]) => [name, graph.node(number)])),
    edges: new Map(known.map(({ key }, index) => [key, graph.edge(ends[index]).points])),
  };
}

export function Graph({ nodes, edges, label }) {
  const lines = edges.map(({ key, source, target }) => [key, source, target]);
  const shape = JSON.stringify([nodes.map(({ name }) => name), lines]);
  const place = useMemo(() => placed(nodes, edges), [shape]);
  const size = { viewBox: `0 0 ${place.width} ${place.height}`, width: place.width, height: place.height };
  const drawn = edges.filter(({ key }) => place.edges.has(key));
  return html`<div class="graph" tabindex="0" role="group" aria-label=${label}><svg ...${size}>
    <defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0L8 4L0 8z" /></marker></defs>
    ${drawn.map((edge) => html`<${Edge} key=${edge.key} edge=${edge} points=${place.edges.get(edge.key)} />`)}
    ${nodes.map((node) => html`<${Node} key=${node.name} node=${node} place=${place.nodes.get(node.name)} />`)}
  </svg></div>`;
}

function Node({ node, place: { x, y } }) {
  const shift = `translate(${x - WIDTH / 2} ${y - HEIGHT / 2})`;
  return html`<a href=${node.link} class=${`node ${node.state}`} transform=${shift}>
    <title>${clip(node.name, 1000)}</title>
    <rect width=${WIDTH} height=${HEIGHT} rx="6" />
    <text x="10" y="18">${clip(node.name, 19)}</text>
    <text x="10" y="34" class="note">${clip(node.note, 24)}</text>
  </a>`;
}

function Edge({ edge, points }) {
  const middle = points[Math.floor(points.length / 2)];
  const path = `M${points.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
  return html`<g class=${`edge ${edge.kind}`}><title>${clip(`${edge.source} → ${edge.target}`, 1000)}</title>
    <path d=${path} marker-end="url(#tip)" />
    <text x=${middle.x} y=${middle.y - 5} class="note">${edge.note}</text></g>`;
}
