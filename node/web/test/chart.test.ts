import { describe, expect, it } from "vitest";
import { Backoff } from "../src/backoff";
import { History, areaPath, linePath, roundTop } from "../src/history";
import { distance, place } from "../src/ring";
import { parseStatus } from "../src/status";

describe("History", () => {
  it("forgets what is older than its span and keeps holes", () => {
    const h = new History(1000);
    h.add(0, 1);
    h.add(600, NaN);
    h.add(1200, 3);
    expect(h.points).toEqual([
      { at: 600, value: null },
      { at: 1200, value: 3 },
    ]);
    expect(h.max()).toBe(3);
    expect(h.latest).toBe(3);
  });

  it("shows a young chart over its least span and an old one over its whole", () => {
    const h = new History(1000);
    expect(h.age(500, 300)).toBe(300);
    h.add(0, 1);
    expect(h.age(100, 300)).toBe(300);
    expect(h.age(500, 300)).toBe(500);
    expect(h.age(5000, 300)).toBe(1000);
  });
});

describe("paths", () => {
  const h = new History(1000);
  for (const [at, v] of [[0, 0], [500, 1], [600, null], [750, 4], [1000, 2]] as const) h.add(at, v);
  const frame = { width: 100, height: 50, now: 1000, span: 1000, top: 2 };

  it("draws from left to right, clipped at the top, broken at holes", () => {
    expect(linePath(h, frame)).toBe("M0.0 50.0L50.0 25.0M75.0 0.0L100.0 0.0");
  });

  it("closes each stretch along the bottom", () => {
    expect(areaPath(h, frame)).toBe("M0.0 50L0.0 50.0L50.0 25.0L50.0 50ZM75.0 50L75.0 0.0L100.0 0.0L100.0 50Z");
    expect(areaPath(new History(), frame)).toBe("");
  });
});

it.each([
  [0, 1],
  [NaN, 1],
  [1, 1],
  [1.01, 2],
  [2.4, 3],
  [4, 5],
  [5.5, 10],
  [3_100_000, 5_000_000],
])("roundTop(%d) is %d", (v, want) => expect(roundTop(v)).toBeCloseTo(want));

describe("ring", () => {
  it("puts quick neighbours near and unknown ones at the rim", () => {
    expect(distance(0)).toBeCloseTo(0.34);
    expect(distance(300)).toBeCloseTo(1);
    expect(distance(9000)).toBe(1);
    expect(distance(null)).toBe(1);
    expect(distance(10)).toBeLessThan(distance(40));
  });

  it("places each within the unit circle, the same whatever the order", () => {
    const peers = parseStatus({ peers: ["a", "b", "c", "d"].map((id, i) => ({ id, rtt_ms: 10 * i, sent_bytes: i })) }).peers;
    const one = place(peers);
    for (const s of one) expect(Math.hypot(s.x, s.y)).toBeLessThanOrEqual(1.0001);
    expect(place([...peers].reverse())).toEqual(one);
    expect(Math.max(...one.map((s) => s.weight))).toBe(1);
    expect(place([])).toEqual([]);
  });
});

describe("Backoff", () => {
  it("doubles up to its bound and begins again", () => {
    const b = new Backoff(500, 4000, () => 0.5);
    expect([b.next(), b.next(), b.next(), b.next(), b.next()]).toEqual([500, 1000, 2000, 4000, 4000]);
    b.reset();
    expect(b.next()).toBe(500);
  });

  it("stays within a quarter of the wait", () => {
    expect(new Backoff(1000, 8000, () => 0).next()).toBe(750);
    expect(new Backoff(1000, 8000, () => 0.999).next()).toBeLessThanOrEqual(1250);
  });
});
