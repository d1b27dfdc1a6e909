import { describe, expect, it } from "vitest";
import { leap, pace } from "../src/pace";

describe("pace", () => {
  it.each([
    // latency, buffered, rate now, want
    [1.25, 1.1, 1, 1],
    [1.35, 1.1, 1, 1],
    [1.35, 1.1, 1.05, 1.05],
    [1.28, 1.1, 1.05, 1],
    [1.5, 1.3, 1, 1.05],
    [1.9, 1.7, 1, 1.1],
    [1.9, 0.5, 1, 1],
    [1.9, 0.7, 1.1, 1.1],
    [2.5, 2.3, 1, 1.2],
    [2.2, 2, 1, 1.1],
    [2.2, 2, 1.2, 1.2],
    [2, 1.8, 1.2, 1.1],
    [2.5, 0.7, 1, 1],
    [6, 5, 1, 1],
    [1.1, 0.9, 1, 1],
    [0.67, 0.5, 1, 0.95],
    [1.15, 0.9, 0.95, 0.95],
    [1.22, 1, 0.95, 1],
  ])("%d s behind with %d s ready at rate %d: %d", (latency, buffered, now, want) => expect(pace({ latency, target: 1.25, buffered }, now)).toBe(want));

  it("reaches the target from either side and rests there", () => {
    for (const from of [0.4, 2.5]) {
      let latency = from;
      let rate = 1;
      let changes = 0;
      for (let t = 0; t < 60; t += 0.1) {
        const next = pace({ latency, target: 1.25, buffered: latency - 0.1 }, rate);
        if (next !== rate) changes++;
        rate = next;
        latency += 0.1 * (1 - rate);
      }
      expect(Math.abs(latency - 1.25)).toBeLessThan(0.06);
      expect(rate).toBe(1);
      expect(changes).toBeLessThanOrEqual(4);
    }
  });
});

describe("leap", () => {
  it.each([
    // latency, buffered, least, want
    [3.25, 3, 1, 2],
    [3.25, 2.4, 1, 1.5], // what is kept ready limits it
    [3.25, 1.4, 1, 0],
    [2, 1.9, 1, 0],
    [2, 1.9, 0.3, 0.75],
    [0.5, 0.4, 0.3, 0],
  ])("%d s behind with %d s ready, at least %d: %d", (latency, buffered, least, want) =>
    expect(leap({ latency, target: 1.25, buffered }, least)).toBeCloseTo(want),
  );
});
