// Counts the times the picture stood still although it should have moved.

export interface Sample {
  /** Milliseconds of a clock that only goes forward. */
  at: number;
  /** The video's position, seconds. */
  position: number;
  /** The viewer wants it to play, and no seek is under way, and it has not ended. */
  shouldMove: boolean;
}

/** A pause this long is seen as a stall even where the browser sends no `waiting`. */
export const freezeMs = 400;

/** A `waiting` shorter than this is not seen: browsers send it also when they change pace or decoder. */
export const glanceMs = 100;

export class StallMeter {
  count = 0;
  /** Milliseconds stood still, all stalls together. */
  total = 0;
  private begun = false;
  private stalledAt: number | null = null;
  private waitingAt: number | null = null;
  private last: Sample | null = null;

  /** The first picture is on screen: from here on a halt is a stall and not start-up. */
  begin(): void {
    this.begun = true;
    this.last = null;
  }

  /** A jump, another broadcast, a pause: what stands still now is not the stream's fault. */
  excuse(at: number): void {
    this.resume(at);
    this.last = null;
  }

  /** The browser says that it waits for data. */
  waiting(at: number): void {
    if (this.begun && this.stalledAt === null) this.waitingAt ??= at;
  }

  sample(s: Sample): void {
    const last = this.last;
    if (!this.begun || !s.shouldMove) {
      this.excuse(s.at);
      return;
    }
    if (!last || s.position !== last.position) {
      this.resume(s.at);
      this.last = s;
      return;
    }
    const since = this.waitingAt;
    if (since !== null && s.at - since >= glanceMs) this.stall(since);
    else if (s.at - last.at >= freezeMs) this.stall(last.at);
  }

  get stalled(): boolean {
    return this.stalledAt !== null;
  }

  private stall(since: number): void {
    if (this.stalledAt !== null) return;
    this.count++;
    this.stalledAt = since;
  }

  private resume(at: number): void {
    this.waitingAt = null;
    if (this.stalledAt === null) return;
    this.total += at - this.stalledAt;
    this.stalledAt = null;
  }
}
