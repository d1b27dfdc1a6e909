// Latency to live = the node's clock now - the capture time of the picture on screen.

/**
 * The node's clock seen from here. A status was written before it arrived, so each sample
 * (node's time - ours) is too small by the time it travelled: the greatest of the recent ones is
 * the nearest to the truth.
 */
export class NodeClock {
  private samples: number[] = [];

  constructor(
    private readonly keep = 20,
    /** A sample this far off means that a clock was set: forget the old ones. */
    private readonly stepMs = 2000,
  ) {}

  observe(nodeMs: number, hereMs: number): void {
    const d = nodeMs - hereMs;
    const best = this.offset();
    if (this.samples.length > 0 && Math.abs(d - best) > this.stepMs) this.samples = [];
    this.samples.push(d);
    if (this.samples.length > this.keep) this.samples.shift();
  }

  /** Milliseconds to add to the local clock; 0 before the first sample. */
  offset(): number {
    return this.samples.length ? Math.max(...this.samples) : 0;
  }

  now(hereMs: number): number {
    return hereMs + this.offset();
  }
}

/** Seconds behind the venue, or null where the playlist gives no capture times. */
export function latencySeconds(nodeNowMs: number, playheadMs: number | null): number | null {
  if (playheadMs === null || !Number.isFinite(playheadMs)) return null;
  return (nodeNowMs - playheadMs) / 1000;
}

/** Clocks of venue and viewer that differ show as a playhead in the future. */
export function clocksDisagree(latency: number | null): boolean {
  return latency !== null && latency < -0.25;
}

/** Seconds of media that lie ready after the playhead, across holes no wider than `hole`. */
export function bufferedAhead(ranges: readonly (readonly [number, number])[], at: number, hole = 0.1): number {
  let end = at;
  for (const [from, to] of ranges) {
    if (to <= end) continue;
    if (from > end + hole) break;
    end = to;
  }
  return end - at;
}

/** The start of the next buffered range when the playhead stands before a hole of at most `reach` seconds. */
export function beyondHole(ranges: readonly (readonly [number, number])[], at: number, reach: number): number | null {
  for (const [from, to] of ranges) {
    if (at >= from && at < to - 0.05) return null;
    if (from > at) return from - at <= reach ? from : null;
  }
  return null;
}
