// How fast to play so that the distance from live comes to its target. hls.js can only hurry; after an
// outage the playhead often stands at the very edge, where the next late part would stop it again, so
// here it can also dawdle. Browsers keep the pitch; 5 % slower or 10 % faster goes unnoticed.

export interface Distance {
  /** Seconds from the playhead to the live edge. */
  latency: number;
  /** What that should be. */
  target: number;
  /** Seconds of media ready after the playhead. */
  buffered: number;
}

/** For the way back from an outage: noticed, but every word is still there. */
const veryFast = 1.2;
const fast = 1.1;
const fairlyFast = 1.05;
const slow = 0.95;

/** Further behind than this the viewer is taken forward in one jump (hls.ts), not by hurrying. */
const tooFar = 4;

/** @param now the present rate: a pace once taken is kept until the target is reached, so that it does not flutter. */
export function pace({ latency, target, buffered }: Distance, now: number): number {
  const off = latency - target;
  if (off > tooFar) return 1;
  const hurrying = now > 1;
  if (off > (hurrying ? 0.04 : 0.15) && buffered > (hurrying ? 0.6 : 0.8)) {
    if (off > (now >= veryFast ? 0.8 : 1)) return veryFast;
    return off > 0.3 ? fast : fairlyFast;
  }
  const dawdling = now < 1;
  if (off < (dawdling ? -0.04 : -0.2)) return slow;
  return 1;
}

/** What to keep ready after a leap: less, and the next part that is late would stop the picture. */
const reserve = 0.9;

/** This near to the target a start is over. */
export const nearS = 0.3;

/**
 * Seconds to leap forward at the start, within what is buffered; 0 for none. The position to start at is chosen when
 * the playlist comes; until the first picture shows, a busy computer may need a second or two more. Next to nothing
 * has been seen yet that a leap would take from its context, and hurrying would take five or ten times as long.
 * @param least do not leap by less than this
 */
export function leap({ latency, target, buffered }: Distance, least: number): number {
  const by = Math.min(latency - target, buffered - reserve);
  return by >= least ? by : 0;
}
