// Keeps a video at its distance from live: by leaps at the start, then by its speed.

import { type Distance, leap, nearS, pace } from "./pace";

/** After the first picture, what is less than this behind is made up for by hurrying. */
const leapS = 1;

/** Leaps after the first picture. Each costs a computer that is slow the decoding from the last keyframe on. */
const maxLeaps = 2;

/** What of a video it needs. */
type Playhead = Pick<HTMLVideoElement, "currentTime" | "playbackRate">;

export class Pacer {
  private leaps = 0;

  /** @param distance to live, null for a viewer who is not to stay close to it */
  constructor(
    private readonly video: Playhead,
    private readonly distance: () => Distance | null,
  ) {}

  /** Another engine plays now. */
  reset(): void {
    this.leaps = maxLeaps;
  }

  /** Right before the first picture. */
  start(): void {
    this.leap(nearS);
  }

  /** @param shouldMove nothing but the stream can keep the playhead from moving */
  keep(shouldMove: boolean): void {
    const d = shouldMove ? this.distance() : null;
    const rate = d ? pace(d, this.video.playbackRate) : 1;
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
    if (!d || this.leaps === 0) return;
    if (d.latency - d.target < nearS) this.leaps = 0;
    else if (this.leap(leapS)) this.leaps--;
  }

  /** Goes forward to the live position, by no less than `least` seconds, as far as there is media. */
  private leap(least: number): boolean {
    const d = this.distance();
    const by = d ? leap(d, least) : 0;
    if (by > 0) this.video.currentTime += by;
    return by > 0;
  }
}
