import { describe, expect, it } from "vitest";
import { Target } from "../src/target";

describe("Target", () => {
  it("moves away with each stall, to its bound", () => {
    const t = new Target(1.25, 0.25, 2, 1000);
    for (let at = 0; at < 5; at++) t.stall(at);
    expect(t.value).toBe(2);
  });

  it("comes back a step for each calm while, and not below its base", () => {
    const t = new Target(1.25, 0.25, 3, 1000);
    expect(t.calm(99_999)).toBe(false);
    t.stall(100_000);
    t.stall(100_100);
    expect(t.calm(101_000)).toBe(false);
    expect(t.calm(101_100)).toBe(true);
    expect(t.value).toBe(1.5);
    expect(t.calm(101_200)).toBe(false);
    expect(t.calm(102_100)).toBe(true);
    expect(t.value).toBe(1.25);
    expect(t.calm(999_999)).toBe(false);
  });

  it("waits twice as long after a stall that coming nearer brought", () => {
    const t = new Target(1.25, 0.25, 3, 1000);
    t.stall(0);
    expect(t.calm(1000)).toBe(true);
    t.stall(1500);
    expect(t.calm(2600)).toBe(false);
    expect(t.calm(3500)).toBe(true);
  });
});
