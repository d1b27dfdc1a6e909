import { describe, expect, it } from "vitest";
import { NodeClock, beyondHole, bufferedAhead, clocksDisagree, latencySeconds } from "../src/clock";

describe("NodeClock", () => {
  it("believes the sample that travelled least", () => {
    const c = new NodeClock();
    expect(c.now(5000)).toBe(5000);
    c.observe(1000, 1000 + 40);
    c.observe(2000, 2000 + 3);
    c.observe(3000, 3000 + 250);
    expect(c.offset()).toBe(-3);
    expect(c.now(10_003)).toBe(10_000);
  });

  it("forgets old samples", () => {
    const c = new NodeClock(2);
    for (const late of [0, 30, 30]) c.observe(1000, 1000 + late);
    expect(c.offset()).toBe(-30);
  });

  it.each([+3_600_000, -3_600_000, 5000, -5000])("follows a clock that is set by %d ms", (step) => {
    const c = new NodeClock();
    c.observe(1000, 1000);
    c.observe(2000 + step, 2000);
    expect(c.offset()).toBe(step);
  });
});

describe("latency", () => {
  it("is the node's now less the capture time on screen", () => {
    expect(latencySeconds(10_000, 8_700)).toBeCloseTo(1.3);
    expect(latencySeconds(10_000, null)).toBeNull();
    expect(latencySeconds(10_000, NaN)).toBeNull();
  });

  it("tells clocks that differ from a small error", () => {
    expect(clocksDisagree(null)).toBe(false);
    expect(clocksDisagree(-0.1)).toBe(false);
    expect(clocksDisagree(-3)).toBe(true);
  });
});

describe("bufferedAhead", () => {
  it.each([
    [[], 5, 0],
    [[[0, 10]], 5, 5],
    [[[0, 10]], 12, 0],
    [[[0, 6], [6.05, 9]], 5, 4],
    [[[0, 6], [7, 9]], 5, 1],
    [[[0, 2], [4, 9]], 5, 4],
    [[[5.05, 9]], 5, 4],
  ] as [[number, number][], number, number][])("%j at %d is %d", (ranges, at, want) => expect(bufferedAhead(ranges, at)).toBeCloseTo(want));
});

describe("beyondHole", () => {
  it.each([
    [[[0, 5], [6, 9]], 5, 10, 6],
    [[[0, 5], [6, 9]], 4.97, 10, 6],
    [[[0, 5], [6, 9]], 3, 10, null],
    [[[0, 5], [20, 29]], 5, 10, null],
    [[[0, 5]], 5, 10, null],
    [[], 5, 10, null],
  ] as [[number, number][], number, number, number | null][])("%j at %d within %d: %s", (ranges, at, reach, want) => expect(beyondHole(ranges, at, reach)).toBe(want));
});
