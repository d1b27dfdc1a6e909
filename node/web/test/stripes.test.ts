import { describe, expect, it } from "vitest";
import { drawn, place } from "../src/ring";
import { type Stripe, parseStatus } from "../src/status";
import { colour, edges, stripeRows, stripesLine, woven } from "../src/stripes";

/** "a:2 b -": from a, to two; from b, to none; from nobody. */
const stripes = (spec: string): Stripe[] =>
  spec
    .split(" ")
    .filter(Boolean)
    .map((w) => {
      const [parent = "", children = "0"] = w.split(":");
      return { parent: parent === "-" ? "" : parent, ageMs: parent === "-" ? 0 : 42.4, children: Number(children) };
    });
const peers = (n: number) => parseStatus({ peers: Array.from({ length: n }, (_, i) => ({ id: `p${i}`, rtt_ms: 10 + i, mesh: true })) }).peers;

describe("edges", () => {
  it("leads from each stripe's parent, side by side where there are several", () => {
    const spots = place(peers(3));
    const found = edges(stripes("p1 p0 p1 - gone p1"), spots);
    expect(found.map((e) => e.stripe)).toEqual([0, 1, 2, 5]);
    const at = spots.find((s) => s.id === "p1")!;
    const fan = found.filter((e) => e.stripe !== 1);
    for (const e of fan) expect(e.from).toEqual([at.x, at.y]);
    expect(new Set(fan.map((e) => e.bend.map((v) => v.toFixed(3)).join())).size).toBe(3);
    // The middle one is straight: its bend lies half-way.
    expect(fan[1]!.bend[0]).toBeCloseTo(at.x / 2);
    expect(fan[1]!.bend[1]).toBeCloseTo(at.y / 2);
    // The outer ones lie as far to one side as to the other.
    expect((fan[0]!.bend[0] + fan[2]!.bend[0]) / 2).toBeCloseTo(at.x / 2);
  });

  it("keeps even sixteen from one neighbour within the picture", () => {
    for (const e of edges(stripes("p0 ".repeat(16)), place(peers(1)))) expect(Math.hypot(...e.bend)).toBeLessThan(1.1);
  });

  it("draws nothing of nothing", () => expect(edges([], place(peers(3)))).toEqual([]));
});

it("draws those who send us something before the others", () => {
  const found = drawn(peers(200), stripes("p150 p199"));
  expect(found).toHaveLength(60);
  expect(found.slice(0, 2).map((p) => p.id)).toEqual(["p150", "p199"]);
});

it("has as many colours as stripes", () => {
  expect(new Set(Array.from({ length: 16 }, (_, i) => colour(i, 16))).size).toBe(16);
});

describe("in words", () => {
  it.each([
    ["a b a:2 c:1", "4 stripes come from 3 neighbours, passed on 3 times."],
    ["a a", "2 stripes come from 1 neighbour, none passed on."],
    ["a - b:1", "2 of 3 stripes come from 2 neighbours, passed on once."],
    ["-:2 -:2", "2 stripes leave from here, passed on 4 times."],
    ["- - a:2", "1 of 3 stripes come from 1 neighbour, passed on twice."],
  ])("%j", (spec, want) => expect(stripesLine(stripes(spec))).toBe(want));

  it("is silent where nothing is woven", () => {
    expect(woven([])).toBe(false);
    expect(woven(stripes("- -"))).toBe(false);
    expect(woven(stripes("- a"))).toBe(true);
    expect(woven(stripes("-:1"))).toBe(true);
  });

  it("has a row for each stripe", () => {
    expect(stripeRows(stripes("a:2 -"))).toEqual([
      ["1", "a", "42 ms", "2"],
      ["2", "nobody just now", "–", "0"],
    ]);
    expect(stripeRows(stripes("-:2"))).toEqual([["1", "here", "–", "2"]]);
  });
});
