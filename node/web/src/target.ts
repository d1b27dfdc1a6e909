// How far behind the newest part to play. Each stall moves the playhead a little further from live,
// as hls.js would by itself; but hls.js never comes back, and an evening of small outages would leave
// a viewer seconds behind for good. So calm minutes bring it near again, step by step.

export class Target {
  value: number;
  private patienceMs: number;
  private since = 0;
  private loweredAt = -Infinity;

  /** Seconds, save for calmMs: the calm after which the first step back is taken. */
  constructor(
    private readonly base = 1.25,
    private readonly step = 0.25,
    private readonly max = 3,
    private readonly calmMs = 30_000,
  ) {
    this.value = base;
    this.patienceMs = calmMs;
  }

  stall(at: number): void {
    this.value = Math.min(this.max, this.value + this.step);
    this.since = at;
    // Stalled soon after coming nearer: this link needs the distance. Try again later and later.
    if (at - this.loweredAt < this.calmMs) this.patienceMs = Math.min(this.patienceMs * 2, 32 * this.calmMs);
    this.loweredAt = -Infinity;
  }

  /** True when the value changed. */
  calm(at: number): boolean {
    if (this.value <= this.base || at - this.since < this.patienceMs) return false;
    this.value = Math.max(this.base, this.value - this.step);
    this.since = at;
    this.loweredAt = at;
    return true;
  }
}
