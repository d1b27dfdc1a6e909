// A stand-in for the node, for work on the page alone: `npm run build && npm run mock`.
// ffmpeg's test picture, cut at its fragments, served as LL-HLS with blocking reload, beside an
// invented status. GET /mock/interrupt?s=10, /mock/end, /mock/new, /mock/wait, /mock/down?s=5 and
// /mock/peers?n=40 make the things happen that happen to broadcasts.
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "../../shim/page", process.argv.includes("--fallback") ? "." : "built");
const port = Number(process.env.PORT ?? 8090);
const partTarget = 0.252;
const target = 2;

const broadcasts = new Map();
let current = null;
let feed = null;
let serial = 0;
let down = 0;
let peerCount = 5;
const listeners = new Set();
const startedAt = Date.now();
let sent = 0;
let received = 0;

function* boxes(buf) {
  for (let at = 0; at + 8 <= buf.length; ) {
    const size = buf.readUInt32BE(at);
    yield { type: buf.toString("latin1", at + 4, at + 8), body: buf.subarray(at + 8, at + size), whole: buf.subarray(at, at + size) };
    at += size;
  }
}

/** Duration of the video in a moof, in its own timescale, and whether it starts with a key frame. */
function describe(moof) {
  for (const traf of boxes(moof)) {
    if (traf.type !== "traf") continue;
    let id = 0, defaultDuration = 0, defaultFlags = 0;
    for (const b of boxes(traf.body)) {
      const flags = b.body.readUInt32BE(0) & 0xffffff;
      if (b.type === "tfhd") {
        id = b.body.readUInt32BE(4);
        let at = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
        if (flags & 8) (defaultDuration = b.body.readUInt32BE(at)), (at += 4);
        if (flags & 0x10) at += 4;
        if (flags & 0x20) defaultFlags = b.body.readUInt32BE(at);
      } else if (b.type === "trun" && id === 1) {
        const n = b.body.readUInt32BE(4);
        let at = 8 + (flags & 1 ? 4 : 0);
        let first = defaultFlags;
        if (flags & 4) (first = b.body.readUInt32BE(at)), (at += 4);
        const step = 4 * [0x100, 0x200, 0x400, 0x800].filter((f) => flags & f).length;
        let duration = flags & 0x100 ? 0 : n * defaultDuration;
        if (flags & 0x100) for (let i = 0; i < n; i++) duration += b.body.readUInt32BE(at + i * step);
        if (flags & 0x400) first = b.body.readUInt32BE(at + (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0));
        return { duration, independent: (first & 0x10000) === 0 };
      }
    }
  }
  return { duration: 0, independent: false };
}

function publish() {
  const b = current;
  const epoch = b.inits.length;
  const ff = spawn("ffmpeg", ["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=24", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "48", "-keyint_min", "48", "-sc_threshold", "0", "-b:v", "1500k", "-pix_fmt", "yuv420p", "-c:a", "aac",
    "-video_track_timescale", "24000", "-f", "mp4", "-movflags", "empty_moov+default_base_moof+frag_keyframe", "-frag_duration", "250000", "-flush_packets", "1", "-"]);
  ff.stderr.pipe(process.stderr);
  let pending = Buffer.alloc(0), init = Buffer.alloc(0), moof = null, first = true;
  ff.stdout.on("data", (d) => {
    pending = Buffer.concat([pending, d]);
    while (pending.length >= 8 && pending.length >= pending.readUInt32BE(0)) {
      const box = pending.subarray(0, pending.readUInt32BE(0));
      pending = pending.subarray(box.length);
      const type = box.toString("latin1", 4, 8);
      if (type === "ftyp" || type === "moov") init = Buffer.concat([init, box]);
      else if (type === "moof") moof = box;
      else if (type === "mdat" && moof) {
        if (first) b.inits.push(init);
        const { duration, independent } = describe(moof.subarray(8));
        const part = { data: Buffer.concat([moof, box]), duration: duration / 24000, independent, epoch, seq: b.parts.length, captured: Date.now() - (duration / 24000) * 1000, discontinuity: first && epoch > 0 };
        first = false;
        if (independent || b.segments.length === 0) b.segments.push({ parts: [], discontinuity: part.discontinuity });
        b.segments.at(-1).parts.push(part);
        b.parts.push(part);
        received += part.data.length;
        sent += part.data.length * 1.7;
        notify();
      }
    }
  });
  return ff;
}

function notify() {
  for (const l of [...listeners]) l();
}

function begin(title) {
  const id = `0${(Date.now()).toString(36)}${(serial++).toString(36)}`;
  current = { id, title, state: "live", started: new Date().toISOString(), parts: [], segments: [], inits: [] };
  broadcasts.set(id, current);
  feed = publish();
}

function stop(state) {
  feed?.kill();
  feed = null;
  if (current) current.state = state;
  notify();
}

function mediaPlaylist(b) {
  const from = Math.max(0, b.segments.length - 30);
  const out = ["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-INDEPENDENT-SEGMENTS", `#EXT-X-TARGETDURATION:${target}`,
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${(3 * partTarget).toFixed(3)}`, `#EXT-X-PART-INF:PART-TARGET=${partTarget}`,
    `#EXT-X-MEDIA-SEQUENCE:${from}`, `#EXT-X-DISCONTINUITY-SEQUENCE:${b.segments.slice(0, from).filter((s) => s.discontinuity).length}`];
  b.segments.slice(from).forEach((s, i) => {
    const msn = from + i;
    if (s.discontinuity) out.push("#EXT-X-DISCONTINUITY");
    if (i === 0 || s.discontinuity) out.push(`#EXT-X-MAP:URI="init-${s.parts[0].epoch}.mp4"`);
    out.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(s.parts[0].captured).toISOString()}`);
    if (msn > b.segments.length - 4) for (const p of s.parts) out.push(`#EXT-X-PART:DURATION=${p.duration.toFixed(5)},URI="p-${p.epoch}-${p.seq}.m4s"${p.independent ? ",INDEPENDENT=YES" : ""}`);
    if (msn < b.segments.length - 1 || b.state === "ended") out.push(`#EXTINF:${s.parts.reduce((t, p) => t + p.duration, 0).toFixed(5)},`, `s-${msn}.m4s`);
  });
  if (b.state === "ended") out.push("#EXT-X-ENDLIST");
  return out.join("\n") + "\n";
}

function status() {
  const up = (Date.now() - startedAt) / 1000;
  const bps = feed ? 1.7e6 : 0;
  return {
    version: "0.1.0", role: "viewer", peer_id: "12D3KooWQ7xL2yWvS5sB8hTq1cJ9rD4mXk6PzNfUe3aGoRbYwMnT", uptime_s: up, now: new Date().toISOString(),
    channel: "12D3KooWK4bVd9RzJtF2sXq7mLwP8yHcN3gTeUo5aBiSx6CjDrEf", title: "Main hall",
    link: "murmur://12D3KooWK4bVd9RzJtF2sXq7mLwP8yHcN3gTeUo5aBiSx6CjDrEf?p=/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooWQ7xL2yWvS5sB8hTq1cJ9rD4mXk6PzNfUe3aGoRbYwMnT",
    broadcasts: [...broadcasts.values()].map((b) => ({
      id: b.id, title: b.title, state: b.state, started: b.started, playlist: `/b/${b.id}/index.m3u8`,
      tracks: b.parts.length === 0 ? [] : [{ name: "main", codecs: "avc1.42c01f,mp4a.40.2", playlist: `/b/${b.id}/main/index.m3u8`, part_target_ms: 252, epoch: b.inits.length, newest_seq: b.parts.length,
        newest_captured: new Date(b.parts.at(-1).captured).toISOString(), delay_ms: { p50: 84, p95: 121, max: 153 },
        chunks: { received: b.parts.length, published: 0, relayed: Math.floor(b.parts.length * 1.7), missed: 0, fetched: Math.min(8, b.parts.length), duplicates: 31, rejected: 0 } }],
    })),
    peers: Array.from({ length: peerCount }, (_, i) => ({
      id: `12D3KooW${(i * 7919 + 104729).toString(36).padStart(6, "Q")}hN4tUe3aGoRbYwMnTzK${(i * 15485863 + 32452843).toString(36).padStart(8, "x")}`,
      addr: i % 3 === 2 ? `/ip6/2001:db8::${i + 1}/tcp/4001` : `/ip4/198.51.100.${i + 3}/udp/4001/quic-v1`, direction: i % 2 ? "in" : "out",
      rtt_ms: [0.8, 12.4, 31, 78, 164, 23, 47][i % 7] * (1 + 0.04 * Math.sin(up + i)), mesh: i % 4 !== 3, agent: "murmur/0.1.0", received_bytes: Math.floor(received / (i + 1.6)), sent_bytes: Math.floor((sent / peerCount) * (1 + (i % 3) / 3)),
    })),
    traffic: { received_bytes: received, sent_bytes: Math.floor(sent), received_bps: bps * (1 + 0.12 * Math.sin(up * 1.3)), sent_bps: 1.7 * bps * (1 + 0.2 * Math.sin(up * 0.7)) },
  };
}

function blocking(b, q, req, send) {
  const due = () => {
    if (b.state === "ended" || !q.has("_HLS_msn")) return true;
    const last = b.segments.length - 1, msn = Number(q.get("_HLS_msn")), part = Number(q.get("_HLS_part") ?? 0);
    return last > msn || (last === msn && b.segments[last].parts.length > part);
  };
  const done = (code, body) => (listeners.delete(tell), clearTimeout(timer), send(code, body));
  const tell = () => due() && done(200, mediaPlaylist(b));
  const timer = setTimeout(() => done(503, ""), 6000);
  req.on("close", () => (listeners.delete(tell), clearTimeout(timer)));
  listeners.add(tell);
  tell();
}

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4", ".m4s": "video/mp4" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

createServer((req, res) => {
  const url = new URL(req.url, "http://localhost");
  const path = url.pathname;
  const send = (code, body, type = types[extname(path)] ?? "text/plain") => res.writeHead(code, { "content-type": type, "cache-control": "no-cache" }).end(body);
  if (path.startsWith("/mock/")) {
    const s = Number(url.searchParams.get("s") ?? 10);
    const what = path.slice(6);
    if (what === "interrupt") (stop("waiting"), setTimeout(() => ((current.state = "live"), (feed = publish())), s * 1000));
    else if (what === "end") stop("ended");
    else if (what === "new") begin(url.searchParams.get("title") ?? "Starlings and streams: a second talk");
    else if (what === "wait") (stop("ended"), broadcasts.clear(), (current = null));
    else if (what === "down") down = Date.now() + s * 1000;
    else if (what === "peers") peerCount = Number(url.searchParams.get("n") ?? 5);
    return send(200, "ok\n");
  }
  if (Date.now() < down) return req.socket.destroy();
  if (path === "/api/v1/status") return send(200, JSON.stringify(status()), "application/json");
  if (path === "/api/v1/events") {
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const tick = () => (Date.now() < down ? req.socket.destroy() : res.write(`event: status\ndata: ${JSON.stringify(status())}\n\n`));
    tick();
    const timer = setInterval(tick, 1000);
    return req.on("close", () => clearInterval(timer));
  }
  const live = path === "/live.m3u8" ? [null, current?.id, "index.m3u8"] : /^\/b\/(\w+)\/(.+)$/.exec(path);
  const b = live && broadcasts.get(live[1]);
  if (live) {
    if (!b) return send(404, "");
    const name = live[2].replace(/^main\//, "");
    if (live[2] === "index.m3u8") return send(200, `#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.42c01f,mp4a.40.2",RESOLUTION=1280x720\n/b/${b.id}/main/index.m3u8\n`);
    if (name === "index.m3u8") return blocking(b, url.searchParams, req, send);
    const m = /^(init|p|s)-(?:\d+-)?(\d+)\./.exec(name);
    const n = Number(m?.[2]);
    const body = m?.[1] === "init" ? b.inits[n] : m?.[1] === "p" ? b.parts[n]?.data : b.segments[n] && Buffer.concat(b.segments[n].parts.map((p) => p.data));
    return body ? send(200, body) : send(404, "");
  }
  const file = join(page, normalize(path === "/" ? "/index.html" : path));
  if (!file.startsWith(page) || !existsSync(file)) return send(404, "not found");
  res.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream", "content-security-policy": csp });
  createReadStream(file).pipe(res);
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));

if (!process.argv.includes("--idle")) begin("Opening keynote: what starlings know about streaming");
process.on("SIGINT", () => (feed?.kill(), process.exit()));
process.on("SIGTERM", () => (feed?.kill(), process.exit()));
