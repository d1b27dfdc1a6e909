// The neighbours as a picture: this node in the middle, the others round it, nearer the quicker
// they answer; a line to each that the mesh uses, or, where the stripes are known, a coloured one for each stripe that
// a neighbour sends us.

import type { Peer, Stripe } from "./status";
import { colour, edges, woven } from "./stripes";

export interface Spot {
  id: string;
  /** Within the unit circle. */
  x: number;
  y: number;
  mesh: boolean;
  /** 0..1, share of the busiest neighbour's bytes. */
  weight: number;
}

/** A number in [0, 1) from an id: the same neighbour stays in the same direction. */
function spread(id: string): number {
  let h = 2166136261;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 16777619);
  h ^= h >>> 15;
  return ((Math.imul(h, 2246822519) ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

/** From 0.34 for a neighbour on the same desk to 1 at 300 ms and beyond, by the logarithm of the round trip. */
export function distance(rttMs: number | null): number {
  if (rttMs === null) return 1;
  const d = Math.log10(1 + rttMs) / Math.log10(301);
  return 0.34 + 0.66 * Math.min(1, d);
}

/** Neighbours in the order of their ids' directions, evenly apart, so that none hides another. */
export function place(peers: readonly Peer[]): Spot[] {
  const busiest = Math.max(1, ...peers.map((p) => p.sentBytes + p.receivedBytes));
  return [...peers]
    .sort((a, b) => spread(a.id) - spread(b.id) || (a.id < b.id ? -1 : 1))
    .map((p, i, all) => {
      const angle = 2 * Math.PI * (i / all.length) - Math.PI / 2;
      const r = distance(p.rttMs);
      return { id: p.id, x: r * Math.cos(angle), y: r * Math.sin(angle), mesh: p.mesh, weight: (p.sentBytes + p.receivedBytes) / busiest };
    });
}

const ns = "http://www.w3.org/2000/svg";

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const e = document.createElementNS(ns, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, String(v));
  return e;
}

/** Draws at most this many: beyond it the picture says nothing more. */
const most = 60;

/** The neighbours to draw: those that send us stripes before the others. */
export function drawn(peers: readonly Peer[], stripes: readonly Stripe[]): Peer[] {
  const parents = new Set(stripes.map((s) => s.parent));
  return [...peers].sort((a, b) => Number(parents.has(b.id)) - Number(parents.has(a.id))).slice(0, most);
}

export function drawRing(host: HTMLElement, peers: readonly Peer[], stripes: readonly Stripe[] = []): void {
  const w = 320;
  const h = 150;
  const svg = shape("svg", { viewBox: `0 0 ${w} ${h}` });
  const to = (x: number, y: number) => [w / 2 + x * (w / 2 - 14), h / 2 + y * (h / 2 - 10)] as const;
  const at = (s: Spot) => to(s.x, s.y);
  for (const r of [0.34, 0.67, 1]) svg.append(shape("ellipse", { class: "orbit", cx: w / 2, cy: h / 2, rx: r * (w / 2 - 14), ry: r * (h / 2 - 10) }));
  const spots = place(drawn(peers, stripes));
  const striped = woven(stripes);
  for (const s of spots) {
    const [x, y] = at(s);
    if (s.mesh) svg.append(shape("line", { class: "link", x1: w / 2, y1: h / 2, x2: x.toFixed(1), y2: y.toFixed(1), "stroke-width": striped ? 0.8 : (0.8 + 2.2 * s.weight).toFixed(2) }));
  }
  if (striped) svg.classList.add("striped");
  for (const e of edges(stripes, spots)) {
    const [x, y] = to(...e.from);
    const [bx, by] = to(...e.bend);
    const d = `M${x.toFixed(1)} ${y.toFixed(1)}Q${bx.toFixed(1)} ${by.toFixed(1)} ${w / 2} ${h / 2}`;
    const path = shape("path", { class: "stripe", d });
    path.style.setProperty("--stripe", colour(e.stripe, stripes.length));
    svg.append(path);
  }
  for (const s of spots) {
    const [x, y] = at(s);
    svg.append(shape("circle", { class: s.mesh ? "peer mesh" : "peer", cx: x.toFixed(1), cy: y.toFixed(1), r: (3 + 2.5 * s.weight).toFixed(1) }));
  }
  svg.append(shape("circle", { class: "self-halo", cx: w / 2, cy: h / 2, r: 11 }), shape("circle", { class: "self", cx: w / 2, cy: h / 2, r: 5.5 }));
  host.replaceChildren(svg);
}
