import { describe, expect, it } from "vitest";
import { StallMeter, freezeMs } from "../src/stalls";

/** Feeds samples every 100 ms; each letter is one: m moves, s stands, p paused, w is a `waiting` event and no sample. */
function run(tape: string, begin = true): StallMeter {
  const meter = new StallMeter();
  if (begin) meter.begin();
  let at = 0;
  let position = 0;
  for (const c of tape) {
    if (c === "w") {
      meter.waiting(at);
      continue;
    }
    at += 100;
    if (c === "m") position += 0.1;
    meter.sample({ at, position, shouldMove: c !== "p" });
  }
  return meter;
}

describe("StallMeter", () => {
  it.each([
    ["mmmmmm", 0, 0],
    ["mmwssmm", 1, 300],
    ["mmwsswssmm", 1, 500],
    ["mmwsmmwsmm", 2, 400],
    ["mmsssmm", 0, 0],
    ["mmsssssmm", 1, 600],
    ["mmwppppmm", 0, 0],
    ["mmwsppppmm", 1, 200],
    ["mmwmmwmm", 0, 0],
    ["mmppppppppmm", 0, 0],
    ["ppppmm", 0, 0],
  ])("%s: %d stalls, %d ms", (tape, count, total) => {
    const m = run(tape);
    expect([m.count, m.total]).toEqual([count, total]);
    expect(m.stalled).toBe(false);
  });

  it("takes nothing before the first picture for a stall", () => {
    expect(run("wssssssssssmm", false).count).toBe(0);
  });

  it("is stalled while it lasts", () => {
    expect(run("mmwss").stalled).toBe(true);
    expect(run("mm" + "s".repeat(freezeMs / 100)).stalled).toBe(true);
  });

  it("excuses a jump", () => {
    const m = run("mmsss");
    m.excuse(600);
    m.sample({ at: 700, position: 0.2, shouldMove: true });
    m.sample({ at: 900, position: 0.2, shouldMove: true });
    expect(m.count).toBe(0);
  });
});
