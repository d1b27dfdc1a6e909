import { describe, expect, it } from "vitest";
import { pace } from "../src/pace";

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
      expect(changes).toBeLessThanOrEqual(3);
    }
  });
});
