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

const fast = 1.1;
const fairlyFast = 1.05;
const slow = 0.95;

/** Further behind than this the viewer is taken forward in one jump (engine.ts), not by hurrying. */
const tooFar = 4;

/** @param now the present rate: a pace once taken is kept until the target is reached, so that it does not flutter. */
export function pace({ latency, target, buffered }: Distance, now: number): number {
  const off = latency - target;
  if (off > tooFar) return 1;
  const hurrying = now > 1;
  if (off > (hurrying ? 0.04 : 0.15) && buffered > (hurrying ? 0.6 : 0.8)) return off > 0.3 ? fast : fairlyFast;
  const dawdling = now < 1;
  if (off < (dawdling ? -0.04 : -0.2)) return slow;
  return 1;
}
