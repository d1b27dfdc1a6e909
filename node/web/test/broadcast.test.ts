import { describe, expect, it } from "vitest";
import { Pulse, asked, decide, newborn, onAir, pick, quietAfterMs, viewState } from "../src/broadcast";
import { parseRoute } from "../src/route";
import { type Status, parseStatus } from "../src/status";

/** "a:live b:ended c:waiting! d:waiting?" where ! marks a broadcast without media yet, ? a private one without its key. */
const status = (spec: string): Status => parseStatus(raw(spec));

function raw(spec: string): object {
  return {
    broadcasts: spec
      .split(" ")
      .filter(Boolean)
      .map((w) => {
        const [id, state] = w.split(":") as [string, string];
        const empty = state.endsWith("!");
        return { id, state: state.replace(/[!?]/, ""), locked: state.endsWith("?") ? "private" : "", tracks: empty ? [] : [{ name: "main", epoch: 1, newest_seq: 1, chunks: { received: 1 } }] };
      }),
  };
}

describe("pick", () => {
  it.each([
    ["", undefined],
    ["a:live!", undefined],
    ["a:live b:live", "b"],
    ["b:live a:live", "b"],
    ["a:live b:ended c:waiting", "a"],
    ["a:waiting b:ended", "a"],
    ["a:ended b:ended", "b"],
    ["a:ended b:live!", "a"],
    ["a:live b:live?", "a"],
    ["a:waiting?", undefined],
  ])("of %j takes %s", (spec, want) => expect(pick(status(spec))?.id).toBe(want));
});

describe("decide", () => {
  it.each([
    // what is on, what is loaded, busy, want
    ["", "", false, "stay"],
    ["a:live", "", false, "load a"],
    ["a:ended", "", false, "load a"],
    ["a:live", "a", true, "stay"],
    ["a:ended", "a", false, "stay"],
    ["a:live b:live", "a", true, "stay"],
    ["a:live b:live", "a", false, "stay"],
    ["a:waiting", "a", true, "stay"],
    ["a:waiting b:live", "a", true, "stay"],
    ["a:waiting b:live", "a", false, "load b"],
    ["a:live b:waiting", "b", false, "stay"],
    ["a:ended b:live", "a", false, "load b"],
    ["a:ended b:live", "a", true, "offer b"],
    ["a:ended b:live!", "a", false, "stay"],
    ["b:live", "a", true, "load b"],
    ["b:ended", "a", true, "stay"],
    ["b:ended", "a", false, "load b"],
  ])("on %j with %j loaded, busy %s: %s", (spec, current, busy, want) => {
    const d = decide(status(spec), current, busy);
    expect(d.action === "stay" ? "stay" : `${d.action} ${d.broadcast.id}`).toBe(want);
  });
});

it("leaves a broadcast that fell silent without an end for one that began later", () => {
  const of = (spec: string, busy: boolean) => decide(status(spec), "b", busy, true).action;
  expect(of("b:live c:live", false)).toBe("load");
  expect(of("b:live c:live", true)).toBe("stay");
  expect(of("a:live b:live", false)).toBe("stay");
});

it("offers the next broadcast to whoever is behind in one that is over and kept, also when the node has closed it", () => {
  const of = (state: string, busy: boolean) => decide(parseStatus({ ...raw("b:live"), recordings: [{ broadcast: "a", state }] }), "a", busy).action;
  expect(of("finished", true)).toBe("offer");
  expect(of("finished", false)).toBe("load");
  expect(of("live", true)).toBe("load");
});

describe("asked", () => {
  const of = (spec: string, recordings: string[], hash: string, role = "viewer") => {
    const a = asked(parseStatus({ ...raw(spec), role, recordings: recordings.map((broadcast) => ({ broadcast, state: "finished" })) }), parseRoute(hash));
    return a.what === "recording" ? `recording ${a.recording.broadcast}` : a.what === "broadcast" ? `broadcast ${a.broadcast.id}` : a.what;
  };
  it.each([
    ["a:live", [], "", "viewer", "live"],
    ["a:live", ["r"], "#/recording/r", "viewer", "recording r"],
    ["a:live", ["r"], "#/recording/x", "viewer", "unknown"],
    ["a:live", ["a"], "#/recording/a", "viewer", "broadcast a"],
    ["a:waiting", ["a"], "#/recording/a", "viewer", "broadcast a"],
    ["a:ended", ["a"], "#/recording/a", "viewer", "recording a"],
    ["", ["r", "q"], "", "replay", "recording r"],
    ["", ["r", "q"], "#/recording/q", "replay", "recording q"],
    ["", [], "", "replay", "live"],
  ])("on %j with %j at %j as %s: %s", (spec, recordings, hash, role, want) => expect(of(spec, recordings, hash, role)).toBe(want));
});

it("knows the way back to live where something is live", () => {
  expect(onAir(status("a:live b:ended"))?.id).toBe("a");
  expect(onAir(status("a:waiting b:ended"))).toBeUndefined();
  expect(onAir(null)).toBeUndefined();
});

describe("viewState", () => {
  it.each([
    [false, null, 0, "connecting"],
    [false, "a:live", 0, "offline"],
    [true, "", 0, "waiting"],
    [true, "a:waiting!", 0, "waiting"],
    [true, "a:live!", 0, "waiting"],
    [true, "a:live", 0, "live"],
    [true, "a:live", quietAfterMs + 1, "interrupted"],
    [true, "a:waiting", 0, "interrupted"],
    [true, "a:ended", 0, "ended"],
    [true, "a:ended!", 0, "ended"],
  ])("connected %s, %j, quiet %d ms: %s", (connected, spec, quietMs, want) => {
    expect(viewState({ connected, status: spec === null ? null : status(spec), current: "a", quietMs })).toBe(want);
  });
});

it("says of a recording that it is one, unless the node is gone", () => {
  const of = (connected: boolean, asked: "recording" | "unknown") => viewState({ connected, status: status("a:live"), current: "r", quietMs: 0, asked });
  expect(of(true, "recording")).toBe("recording");
  expect(of(true, "unknown")).toBe("unknown");
  expect(of(false, "recording")).toBe("offline");
});

describe("Pulse", () => {
  it("counts from the last change of the newest chunk, and anew for another broadcast", () => {
    const p = new Pulse();
    const a = status("a:live").broadcasts[0]!;
    expect(p.quiet(a, 1000)).toBe(0);
    expect(p.quiet(a, 1800)).toBe(800);
    a.tracks[0]!.newestSeq = 2;
    expect(p.quiet(a, 2000)).toBe(0);
    expect(p.quiet(a, 9000)).toBe(7000);
    expect(p.quiet(status("b:live").broadcasts[0]!, 9100)).toBe(0);
  });
});

it("knows a broadcast that has only just begun", () => {
  const of = (state: string, started?: string) => newborn(parseStatus({ broadcasts: [{ id: "b", state, started }] }).broadcasts[0]!, Date.UTC(2026, 0, 1, 10, 0, 5));
  expect(of("live", "2026-01-01T10:00:01Z")).toBe(true);
  expect(of("live", "2026-01-01T09:59:00Z")).toBe(false);
  expect(of("live", "2026-01-01T10:30:00Z")).toBe(false);
  expect(of("ended", "2026-01-01T10:00:01Z")).toBe(false);
  expect(of("live")).toBe(false);
});

describe("what is private, without its key,", () => {
  const of = (spec: string) => viewState({ connected: true, status: status(spec), current: "", quietMs: 0 });

  it.each([
    ["a:waiting?", "locked"],
    ["a:ended b:waiting?", "ended"],
    ["a:live b:waiting?", "live"],
    ["a:ended?", "ended"],
  ])("beside %j gives %s", (spec, want) => expect(of(spec)).toBe(want));

  it("is not played when its recording is asked for", () => {
    const s = parseStatus({ broadcasts: [{ id: "b", state: "waiting", locked: "private", tracks: [{ chunks: { received: 1 } }] }], recordings: [{ broadcast: "b", locked: "private" }] });
    const found = asked(s, { show: "recording", broadcast: "b" });
    expect(found.what).toBe("locked");
    expect(viewState({ connected: true, status: s, current: "", quietMs: 0, asked: found.what })).toBe("locked");
  });
});
