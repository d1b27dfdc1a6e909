// The last minutes of a few numbers, and the SVG paths that draw them.

export interface Point {
  /** Milliseconds. */
  at: number;
  /** null where there was nothing to measure: the line breaks there. */
  value: number | null;
}

export class History {
  readonly points: Point[] = [];

  constructor(readonly spanMs = 180_000) {}

  add(at: number, value: number | null): void {
    this.points.push({ at, value: value !== null && Number.isFinite(value) ? value : null });
    while (this.points.length > 0 && this.points[0]!.at < at - this.spanMs) this.points.shift();
  }

  max(): number {
    return this.points.reduce((m, p) => (p.value !== null && p.value > m ? p.value : m), 0);
  }

  /** Milliseconds from the first point to `now`, at least `least`: a young chart is not squeezed to the right. */
  age(now: number, least: number): number {
    return Math.min(this.spanMs, Math.max(least, now - (this.points[0]?.at ?? now)));
  }

  get latest(): number | null {
    return this.points.at(-1)?.value ?? null;
  }
}

export interface Frame {
  width: number;
  height: number;
  /** The right edge, milliseconds. */
  now: number;
  /** Milliseconds from the left edge to the right one. */
  span: number;
  /** The value at the top. */
  top: number;
}

/** A round number at or above v, so that the scale does not twitch: 1, 2, 3, 5 times a power of ten. */
export function roundTop(v: number): number {
  if (!(v > 0)) return 1;
  const p = 10 ** Math.floor(Math.log10(v));
  for (const f of [1, 2, 3, 5]) if (v <= f * p * 1.0001) return f * p;
  return 10 * p;
}

/** An SVG path through the history; breaks where a value is missing. */
export function linePath(h: History, f: Frame): string {
  let d = "";
  let pen = false;
  for (const p of h.points) {
    if (p.value === null) {
      pen = false;
      continue;
    }
    const x = f.width * (1 - (f.now - p.at) / f.span);
    const y = f.height * (1 - Math.min(1, Math.max(0, p.value) / f.top));
    d += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  }
  return d;
}

/** The same as linePath, closed along the bottom, a piece for each unbroken stretch. */
export function areaPath(h: History, f: Frame): string {
  return linePath(h, f)
    .split("M")
    .filter(Boolean)
    .map((piece) => {
      const xs = piece.split("L");
      const first = xs[0]!.split(" ")[0]!;
      const last = xs.at(-1)!.split(" ")[0]!;
      return `M${first} ${f.height}L${piece}L${last} ${f.height}Z`;
    })
    .join("");
}
