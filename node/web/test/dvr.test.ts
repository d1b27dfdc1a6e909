import { describe, expect, it } from "vitest";
import { Dvr, type Window, edition, liveWords, positionText, positionWords, standing } from "../src/dvr";

const on: Window = { start: 0, edge: 1001.2, live: 1000, ended: false };
const over: Window = { start: 0, edge: 1010, live: 1010, ended: true };
const viewer = { position: 1000, following: true, paused: false, started: true };

describe("Dvr", () => {
  it("stays at live until the viewer goes elsewhere, and until he asks for it again", () => {
    const d = new Dvr();
    d.load(true);
    expect(d.following).toBe(true);
    expect(d.seek(990, on)).toBe(990);
    expect(d.following).toBe(false);
    d.window({ ...on, live: 1100 });
    expect(d.following).toBe(false);
    expect(d.live(on)).toBe(1000);
    expect(d.following).toBe(true);
    d.pause();
    expect(d.following).toBe(false);
  });

  it("takes a seek to the end for live, and one beyond an end for the end", () => {
    const d = new Dvr();
    d.load(false);
    expect(d.following).toBe(false);
    expect(d.seek(Infinity, on)).toBe(1000);
    expect(d.following).toBe(true);
    expect(d.seek(-Infinity, on)).toBe(0);
    expect(d.following).toBe(false);
  });

  it("has no live to stay close to once the broadcast is over, wherever the viewer is", () => {
    for (const behind of [true, false]) {
      const d = new Dvr();
      d.load(true);
      if (behind) d.seek(10, on);
      d.window(over);
      expect(d.following).toBe(false);
      expect(d.live(over)).toBe(1010);
      expect(d.seek(Infinity, over)).toBe(1010);
      expect(d.following).toBe(false);
    }
  });
});

describe("standing", () => {
  it.each([
    // window, viewer, text, words
    [null, {}, "", ""],
    [{ ...on, live: 0 }, {}, "", ""],
    [on, {}, "", "live"],
    [on, { position: 998 }, "", "live"],
    [on, { position: 0, started: false, paused: true }, "", "live"],
    [on, { position: 996.5 }, "−0:03", "4 seconds behind live"],
    [on, { position: 246, following: false }, "−12:34", "13 minutes behind live"],
    [on, { position: 999, following: false }, "−0:01", "1 second behind live"],
    [on, { paused: true }, "−0:00", "0 seconds behind live"],
    [over, { position: 65, following: false }, "1:05 / 16:50", "1:05 of 16:50"],
    [over, { position: 2000, following: false }, "16:50 / 16:50", "16:50 of 16:50"],
    [{ ...over, start: 1000 }, { position: 65, following: false }, "0:00 / 0:10", "0:00 of 0:10"],
  ])("in %j as %j shows %j", (w, v, text, words) => {
    const s = standing(w, { ...viewer, ...v });
    expect(positionText(s)).toBe(text);
    expect(positionWords(s)).toBe(words);
  });

  it("names the way back to live", () => {
    expect(liveWords(standing(on, viewer))).toBe("At live");
    expect(liveWords(standing(on, { ...viewer, position: 400, following: false }))).toBe("Back to live: now 10 minutes behind");
  });
});

describe("edition", () => {
  const short = "/b/x/main/index.m3u8";
  const whole = "/b/x/main/dvr.m3u8";
  it.each([
    ["the same list", short, short, 60_000, 0, null],
    ["a longer one", short, whole, 60_000, 0, 60],
    ["the longer one already", whole, whole, 0, 0, null],
    ["a list of unknown date", short, whole, null, 0, null],
    ["a broadcast of unknown age", short, whole, 60_000, null, null],
    ["an unknown list", "", whole, 60_000, 0, null],
    ["no more than a second", short, whole, 900, 0, null],
  ])("%s", (_, playing, offered, windowDate, started, want) => expect(edition(playing, offered, windowDate, started)?.seconds ?? null).toBe(want));
});
