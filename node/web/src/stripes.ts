// The stripes of a track: sixteen trees, each of which brings a sixteenth of every chunk. Where each comes from and how
// many it is passed on to, as lines in the ring of neighbours, as a row of numbers, and in words.

import { millis, shortId } from "./format";
import type { Stripe } from "./status";
import type { Spot } from "./ring";

/** A line from a neighbour to the middle, in the ring's own coordinates: within the unit circle. */
export interface Edge {
  stripe: number;
  from: readonly [number, number];
  /** The control point of a quadratic curve: stripes of one neighbour lie side by side. */
  bend: readonly [number, number];
}

/** How far apart the bends of two stripes of one neighbour lie. */
const apart = 0.13;

/** Lines for the stripes whose parents are among the spots. */
export function edges(stripes: readonly Stripe[], spots: readonly Spot[]): Edge[] {
  const where = new Map(spots.map((s) => [s.id, s]));
  const of = new Map<string, number[]>();
  stripes.forEach((s, i) => {
    if (where.has(s.parent)) of.set(s.parent, [...(of.get(s.parent) ?? []), i]);
  });
  const found: Edge[] = [];
  for (const [parent, numbers] of of) {
    const { x, y } = where.get(parent)!;
    const length = Math.hypot(x, y) || 1;
    // However many there are, the fan stays narrower than the way to the next neighbour.
    const step = Math.min(apart, 0.9 / numbers.length);
    numbers.forEach((stripe, k) => {
      const off = (k - (numbers.length - 1) / 2) * step * 2;
      found.push({ stripe, from: [x, y], bend: [x / 2 - (y / length) * off, y / 2 + (x / length) * off] });
    });
  }
  return found.sort((a, b) => a.stripe - b.stripe);
}

/** Whether there is anything to show. */
export function woven(stripes: readonly Stripe[]): boolean {
  return stripes.some((s) => s.parent !== "" || s.children > 0);
}

/** A colour for each stripe, evenly round the circle of hues. */
export const colour = (stripe: number, of: number): string => `hsl(${Math.round((360 * stripe) / Math.max(1, of))} 78% 70%)`;

/** Whether this node publishes the track: nobody sends it anything, and it sends all. */
function source(stripes: readonly Stripe[]): boolean {
  return stripes.every((s) => s.parent === "") && stripes.some((s) => s.children > 0);
}

const times = (n: number): string => (n === 1 ? "once" : n === 2 ? "twice" : `${n} times`);

/** A sentence on all of them. */
export function stripesLine(stripes: readonly Stripe[]): string {
  const children = stripes.reduce((sum, s) => sum + s.children, 0);
  const out = children > 0 ? `passed on ${times(children)}` : "none passed on";
  if (source(stripes)) return `${stripes.length} stripes leave from here, ${out}.`;
  const fed = stripes.filter((s) => s.parent !== "");
  const parents = new Set(fed.map((s) => s.parent)).size;
  const missing = stripes.length - fed.length;
  const from = `${fed.length} of ${stripes.length} stripes come from ${parents} neighbour${parents === 1 ? "" : "s"}`;
  return `${missing === 0 ? from.replace(/^\d+ of /, "") : from}, ${out}.`;
}

/** The rows of the table: stripe, whence, age, how many it goes to. */
export function stripeRows(stripes: readonly Stripe[]): string[][] {
  const here = source(stripes);
  return stripes.map((s, i) => [
    String(i + 1),
    s.parent ? shortId(s.parent) : here ? "here" : "nobody just now",
    s.parent ? millis(s.ageMs) : "–",
    String(s.children),
  ]);
}
