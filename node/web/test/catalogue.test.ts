import { describe, expect, it } from "vitest";
import { dateLine, factsLine, holdersLine, infoOf, lengthOf, nameOf, newestFirst, playWords, posterKind, showing, stateLine } from "../src/catalogue";
import { type Recording, parseStatus } from "../src/status";

const of = (r: object): Recording => parseStatus({ recordings: [{ broadcast: "b", ...r }] }).recordings[0]!;

it("lists the newest first, and by id where the time is not known", () => {
  const all = [of({ broadcast: "a", started: "2026-01-01T10:00:00Z" }), of({ broadcast: "c" }), of({ broadcast: "d" }), of({ broadcast: "b", started: "2026-01-02T10:00:00Z" })];
  expect(newestFirst(all).map((r) => r.broadcast)).toEqual(["b", "a", "d", "c"]);
});

it("tells the facts", () => {
  const started = new Date(2026, 10, 22, 9, 5).toISOString();
  const r = of({ title: "Talk", started, duration_s: 2530, bytes: 1_234_000_000 });
  expect(dateLine(r.started)).toBe("22 Nov 2026, 09:05");
  expect(factsLine(r)).toBe("22 Nov 2026, 09:05 · 1.2\u00a0GB");
  expect(lengthOf(r)).toBe("42:10");
  expect(playWords(r)).toBe("Play Talk, 22 Nov 2026, 09:05, 42 minutes");
  expect(factsLine(of({}))).toBe("");
  expect(lengthOf(of({}))).toBe("");
  expect(nameOf(of({}))).toBe("Untitled");
});

describe("stateLine", () => {
  it.each([
    [{ state: "live", missing: 4 }, "Being recorded now"],
    [{ state: "live", full: true }, "The disk is full: what comes is not kept"],
    [{ state: "finished", locked: "private" }, "Private: it plays with the link that has its key"],
    [{ state: "partial" }, "Incomplete"],
    [{ state: "partial", missing: 8 }, "Incomplete: about 2 seconds missing"],
    [{ state: "finished" }, "Kept here, complete"],
    [{ state: "finished", missing: 1 }, "Kept here, about 1 second missing"],
    [{ state: "listed" }, "Not kept here: fetched as you watch"],
  ])("of %j", (r, want) => expect(stateLine(of(r))).toBe(want));
});

it.each([
  [{}, ""],
  [{ pinned: true }, "pinned"],
  [{ replicas: 1 }, "1 other holds it"],
  [{ pinned: true, replicas: 12 }, "pinned · 12 others hold it"],
])("says who holds %j", (r, want) => expect(holdersLine(of(r))).toBe(want));

it.each([
  ["/ipfs/bafy/poster.mp4", "film"],
  ["/ipfs/bafy/poster.jpg", "picture"],
  ["/ipfs/bafy/poster.JPEG", "picture"],
  ["/ipfs/bafy/poster.html", "none"],
  ["", "none"],
])("takes %j for a %s", (path, want) => expect(posterKind(path)).toBe(want));

it("finds the table of contents", () => expect(infoOf("/ipfs/bafy/poster.mp4")).toBe("/ipfs/bafy/info.json"));

it.each([
  [{ files: [{ name: "poster.mp4" }], tracks: [{ height: 360 }] }, "poster"],
  [{ files: [{ name: "poster.jpg" }], tracks: [{ height: 360 }] }, "nothing"],
  [{ files: [{ name: "index.m3u8" }], tracks: [{ codecs: "mp4a.40.2" }] }, "sound"],
  [{ files: "poster.mp4", tracks: [null, 3] }, "sound"],
  [{ files: [null, 3] }, "nothing"],
  [null, "nothing"],
  ["poster.mp4", "nothing"],
])("of %j it shows the %s", (info, want) => expect(showing(info, "/ipfs/bafy/poster.mp4")).toBe(want));
