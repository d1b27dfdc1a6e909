import { describe, expect, it } from "vitest";
import { hasMedia, parseStatus, restarted, totals } from "../src/status";

const track = (chunks: object, more: object = {}) => ({ name: "main", codecs: "avc1.42c01f", playlist: "/b/x/main/index.m3u8", epoch: 1, newest_seq: 4, newest_captured: "2026-11-22T10:00:01.250Z", chunks, ...more });

describe("parseStatus", () => {
  it("reads what the node writes", () => {
    const s = parseStatus({
      version: "0.1.0",
      role: "viewer",
      peer_id: "12D3a",
      uptime_s: 12.3,
      now: "2026-11-22T10:00:02.000Z",
      title: "Hall",
      link: "murmur://12D3c",
      broadcasts: [
        {
          id: "b1",
          title: "Talk",
          state: "live",
          started: "2026-11-22T10:00:00Z",
          playlist: "/b/b1/index.m3u8",
          tracks: [track({ received: 4, relayed: 3 }, { delay_ms: { p50: 80, p95: 120, max: 150 } })],
        },
      ],
      peers: [{ id: "12D3p", addr: "/ip4/192.0.2.1/udp/1/quic-v1", direction: "in", rtt_ms: 3.2, mesh: true, agent: "murmur/0.1.0", received_bytes: 1, sent_bytes: 2 }],
      traffic: { received_bytes: 1, sent_bytes: 2, received_bps: 3, sent_bps: 4 },
    });
    expect(s.now).toBe(Date.UTC(2026, 10, 22, 10, 0, 2));
    expect(s.broadcasts[0]?.tracks[0]).toMatchObject({ newestSeq: 4, delay: { p50: 80 }, newestCaptured: Date.UTC(2026, 10, 22, 10, 0, 1, 250) });
    expect(s.peers[0]).toEqual({ id: "12D3p", addr: "/ip4/192.0.2.1/udp/1/quic-v1", direction: "in", rttMs: 3.2, mesh: true, agent: "murmur/0.1.0", receivedBytes: 1, sentBytes: 2 });
    expect(s.traffic).toEqual({ receivedBytes: 1, sentBytes: 2, receivedBps: 3, sentBps: 4 });
  });

  it.each([null, undefined, 3, "x", [], {}, { broadcasts: null, peers: null, traffic: null }, { broadcasts: [null, 1, {}], peers: [null, {}] }])("makes a neutral status of %j", (raw) => {
    const s = parseStatus(raw);
    expect(s.broadcasts).toEqual([]);
    expect(s.peers).toEqual([]);
    expect(s.traffic.sentBps).toBe(0);
    expect(s.now).toBeNull();
  });

  it("takes negative, infinite and foreign numbers for zero, and Go's zero time for never", () => {
    const s = parseStatus({ uptime_s: -1, traffic: { sent_bytes: "12", sent_bps: Infinity }, broadcasts: [{ id: "b", started: "0001-01-01T00:00:00Z", state: "odd" }] });
    expect(s.uptimeS).toBe(0);
    expect(s.traffic.sentBytes).toBe(0);
    expect(s.traffic.sentBps).toBe(0);
    expect(s.broadcasts[0]).toMatchObject({ started: null, state: "waiting" });
  });

  it.each(["https://elsewhere.example/x.m3u8", "//elsewhere.example/x", "/\\elsewhere.example", "javascript:alert(1)", ""])("never leaves this server for %j", (playlist) => {
    expect(parseStatus({ broadcasts: [{ id: "b/1", playlist }] }).broadcasts[0]?.playlist).toBe("/b/b%2F1/index.m3u8");
  });
});

describe("recordings, stripes and the store", () => {
  it("reads what the node writes", () => {
    const s = parseStatus({
      recordings: [{ broadcast: "r", title: "Talk", started: "2026-11-22T10:00:00Z", duration_s: 61.5, bytes: 7, root: "bafy", state: "finished", pinned: true, missing: 2, full: false, replicas: 3, url: "/b/r/index.m3u8", poster: "/ipfs/bafy/poster.mp4", locked: "private" }],
      store: { bytes: 1, quota_bytes: 2, free_bytes: 3, recordings: 4 },
      broadcasts: [{ id: "b", tracks: [{ stripes: [{ parent: "p", age_ms: 41.5, children: 2 }, { parent: "" }] }] }],
    });
    expect(s.recordings).toEqual([{ broadcast: "r", title: "Talk", started: Date.UTC(2026, 10, 22, 10), durationS: 61.5, bytes: 7, root: "bafy", state: "finished", pinned: true, missing: 2, full: false, replicas: 3, url: "/b/r/index.m3u8", poster: "/ipfs/bafy/poster.mp4", locked: "private" }]);
    expect(s.store).toEqual({ bytes: 1, quotaBytes: 2, freeBytes: 3, recordings: 4, full: false });
    expect(s.broadcasts[0]?.tracks[0]?.stripes).toEqual([{ parent: "p", ageMs: 41.5, children: 2 }, { parent: "", ageMs: 0, children: 0 }]);
  });

  it("makes neutral values of what is absent or odd, and never leaves this server", () => {
    const s = parseStatus({ recordings: [null, {}, { broadcast: "r/1", state: "odd", root: "bafy", url: "//elsewhere", poster: "https://elsewhere.example/p.mp4" }], store: { bytes: 0 }, broadcasts: [{ id: "b", tracks: [{ stripes: Array(1000).fill({}) }] }] });
    expect(s.recordings).toHaveLength(1);
    expect(s.recordings[0]).toMatchObject({ state: "listed", started: null, url: "/b/r%2F1/index.m3u8", poster: "" });
    expect(s.store).toBeNull();
    expect(s.broadcasts[0]?.tracks[0]?.stripes).toHaveLength(64);
    expect(parseStatus({}).recordings).toEqual([]);
  });
});

describe("totals", () => {
  it("adds the tracks up", () => {
    const s = parseStatus({ broadcasts: [{ id: "b", tracks: [track({ received: 4, missed: 1 }), track({ received: 2, relayed: 7 })] }] });
    expect(totals(s.broadcasts[0])).toMatchObject({ received: 6, missed: 1, relayed: 7, fetched: 0 });
    expect(totals(undefined).received).toBe(0);
  });
});

describe("hasMedia", () => {
  it("is false before the first chunk", () => {
    const of = (t: object[]) => hasMedia(parseStatus({ broadcasts: [{ id: "b", tracks: t }] }).broadcasts[0]!);
    expect(of([])).toBe(false);
    expect(of([track({}, { newest_captured: "" })])).toBe(false);
    expect(of([track({ published: 1 }, { newest_captured: "" })])).toBe(true);
    expect(of([track({})])).toBe(true);
  });
});

describe("restarted", () => {
  const run = (uptime_s: number, peer_id = "a") => parseStatus({ uptime_s, peer_id });
  it("sees a younger or another node, and no more", () => {
    expect(restarted(null, run(5))).toBe(false);
    expect(restarted(run(5), run(6))).toBe(false);
    expect(restarted(run(6), run(5.5))).toBe(false);
    expect(restarted(run(60), run(2))).toBe(true);
    expect(restarted(run(5), run(6, "b"))).toBe(true);
  });
});
