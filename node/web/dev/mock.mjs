// A stand-in for the node, for work on the page alone: `npm run build && npm run mock`.
// ffmpeg's test picture, cut at its fragments, served as LL-HLS with blocking reload, beside an
// invented status, beside recordings of the same picture. GET /mock/interrupt?s=10, /mock/end, /mock/new, /mock/wait,
// /mock/down?s=5, /mock/peers?n=40, /mock/recordings?n=0, /mock/stripes?n=0, /mock/role?r=replay, /mock/store?quota=0, /mock/full and
// /mock/late?s=20 (what is older than that is listed in dvr.m3u8 only) make the things happen that happen to broadcasts.
// PAST=600 begins with ten minutes of a broadcast that is on already; --idle without one.
import { spawn, spawnSync } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "../../shim/page", process.argv.includes("--fallback") ? "." : "built");
const port = Number(process.env.PORT ?? 8090);
const partTarget = 0.252;
const target = 2;
const past = Number(process.env.PAST ?? 60);

const broadcasts = new Map();
let current = null;
let feed = null;
let serial = 0;
let down = 0;
let peerCount = 5;
const listeners = new Set();
const startedAt = Date.now();
let recordingCount = 6;
let stripeCount = 16;
let role = "viewer";
let quota = 20e9;
let full = false;
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

/** @param before seconds that have been sent already */
function publish(before = 0) {
  const b = current;
  const epoch = b.inits.length;
  const begun = Date.now() - before * 1000;
  let media = 0;
  const ff = spawn("ffmpeg", ["-v", "error", ...(before ? [] : ["-re"]), "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=24", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
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
        const part = { data: Buffer.concat([moof, box]), duration: duration / 24000, independent, epoch, seq: b.parts.length, captured: before ? begun + media * 1000 - 800 : Date.now() - (duration / 24000) * 1000, discontinuity: first && epoch > 0 };
        media += duration / 24000;
        first = false;
        if (independent || b.segments.length === 0) b.segments.push({ parts: [], discontinuity: part.discontinuity });
        b.segments.at(-1).parts.push(part);
        b.parts.push(part);
        // What went by already comes as fast as it is made, the rest in its time.
        const early = begun + media * 1000 - Date.now();
        if (before && early > 0) {
          ff.stdout.pause();
          setTimeout(() => ff.stdout.resume(), early);
        }
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

function begin(title, before = 0) {
  const id = `0${(Date.now()).toString(36)}${(serial++).toString(36)}`;
  current = { id, title, state: "live", started: new Date(Date.now() - before * 1000).toISOString(), parts: [], segments: [], inits: [] };
  broadcasts.set(id, current);
  feed = publish(before);
}

function stop(state) {
  feed?.kill();
  feed = null;
  if (current) current.state = state;
  notify();
}

/** @param name index.m3u8 is as short as it was when what came before was not known yet. */
function mediaPlaylist(b, name = "index.m3u8") {
  const from = name === "dvr.m3u8" ? 0 : Math.min(b.short ?? 0, b.segments.length - 1);
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

/** A minute of the picture as a finished recording: the same for all of them. */
function record() {
  const dir = mkdtempSync(join(tmpdir(), "murmur-mock-"));
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  const run = (args) => spawnSync("ffmpeg", ["-v", "error", "-y", ...args], { cwd: dir, stdio: "inherit" });
  run(["-f", "lavfi", "-i", "mandelbrot=size=640x360:rate=12", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-g", "24",
    "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "index.m3u8"]);
  const still = (at) => ["-f", "lavfi", "-i", `mandelbrot=size=640x360:rate=12:start_scale=${at}`, "-frames:v"];
  run([...still(0.8), "3", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-an", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "poster.mp4"]);
  run([...still(0.02), "1", "poster.jpg"]);
  writeFileSync(join(dir, "info.json"), JSON.stringify({ version: 1, tracks: [{ name: "main", width: 640, height: 360 }], files: [{ name: "poster.mp4" }, { name: "poster.jpg" }] }));
  mkdirSync(join(dir, "sound"));
  writeFileSync(join(dir, "sound", "info.json"), JSON.stringify({ version: 1, tracks: [{ name: "main" }], files: [{ name: "index.m3u8" }] }));
  return dir;
}

const talks = [
  ["What starlings know about streaming", "finished", 0, "poster.mp4", true, 3],
  ["Seven neighbours are enough: how a flock of thousands turns as one, and what networks can take from it", "finished", 14, "poster.jpg", false, 1],
  ["Lightning talks", "partial", 120, "poster.mp4", false, 0],
  ["Supercalifragilisticexpialidociousdistributedcontentaddressedrecordings", "listed", 0, "poster.mp4", false, 12],
  ["A poster that is missing", "listed", 0, "gone.mp4", false, 0],
  ["Sound alone", "finished", 0, "sound/poster.mp4", true, 0],
];

function recordings() {
  const made = Array.from({ length: recordingCount }, (_, i) => {
    const [title, state, missing, poster, pinned, replicas] = talks[i % talks.length];
    const root = `bafybeih${(i * 7919 + 104729).toString(36).padStart(6, "q")}hn4tue3agorbywmntzk2vxl5jd6cpsf7qk3mwyhtaeu2ozrbn4igx`;
    return { broadcast: `0rec${String(i).padStart(3, "0")}`, title, started: new Date(startedAt - (i + 1) * 5.3e6).toISOString(), duration_s: 60, bytes: 18.4e6 * (1 + (i % 5) * 9), root: state === "partial" ? "" : root, state, pinned, missing, replicas,
      url: state === "listed" ? `/ipfs/${root}/index.m3u8` : `/b/0rec${String(i).padStart(3, "0")}/index.m3u8`, poster: poster && `/ipfs/${root}/${poster}` };
  });
  const live = current?.state === "live" && recordingCount ? [{ broadcast: current.id, title: current.title, started: current.started, duration_s: current.parts.length / 4, bytes: received, root: "", state: "live", pinned: false, missing: 0, replicas: 0, url: `/b/${current.id}/index.m3u8`, poster: "" }] : [];
  return [...live, ...made];
}

function stripes(up) {
  return Array.from({ length: stripeCount }, (_, i) => {
    const lost = i === 11 && up % 20 < 4;
    const parent = peerId(Math.floor(((i * 7 + Math.floor(up / 30)) % 16) * 0.24 * Math.min(peerCount, 6)) % peerCount);
    return { parent: role === "origin" || lost || !peerCount ? "" : parent, age_ms: 40 + ((i * 37) % 90), children: role === "origin" ? 2 : [0, 0, 3, 1, 0, 2, 0, 0][(i * 5) % 8] };
  });
}

const peerId = (i) => `12D3KooW${(i * 7919 + 104729).toString(36).padStart(6, "Q")}hN4tUe3aGoRbYwMnTzK${(i * 15485863 + 32452843).toString(36).padStart(8, "x")}`;

function status() {
  const up = (Date.now() - startedAt) / 1000;
  const bps = feed ? 1.7e6 : 0;
  return {
    version: "0.1.0", role, peer_id: "12D3KooWQ7xL2yWvS5sB8hTq1cJ9rD4mXk6PzNfUe3aGoRbYwMnT", uptime_s: up, now: new Date().toISOString(),
    channel: "12D3KooWK4bVd9RzJtF2sXq7mLwP8yHcN3gTeUo5aBiSx6CjDrEf", title: "Main hall",
    link: "murmur://12D3KooWK4bVd9RzJtF2sXq7mLwP8yHcN3gTeUo5aBiSx6CjDrEf?p=/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooWQ7xL2yWvS5sB8hTq1cJ9rD4mXk6PzNfUe3aGoRbYwMnT",
    broadcasts: [...broadcasts.values()].map((b) => ({
      id: b.id, title: b.title, state: b.state, started: b.started, playlist: `/b/${b.id}/index.m3u8`,
      tracks: b.parts.length === 0 ? [] : [{ name: "main", codecs: "avc1.42c01f,mp4a.40.2", playlist: `/b/${b.id}/main/${b.short ? "dvr" : "index"}.m3u8`, stripes: stripes(up), part_target_ms: 252, epoch: b.inits.length, newest_seq: b.parts.length,
        newest_captured: new Date(b.parts.at(-1).captured).toISOString(), delay_ms: { p50: 84, p95: 121, max: 153 },
        chunks: { received: b.parts.length, published: 0, relayed: Math.floor(b.parts.length * 1.7), missed: 0, fetched: Math.min(8, b.parts.length), duplicates: 31, rejected: 0 } }],
    })),
    recordings: recordings(),
    store: role === "viewer" && quota < 0 ? {} : { bytes: recordingCount * 1.9e9, quota_bytes: quota, free_bytes: 212e9, recordings: recordingCount, full },
    peers: Array.from({ length: peerCount }, (_, i) => ({
      id: peerId(i),
      addr: i % 3 === 2 ? `/ip6/2001:db8::${i + 1}/tcp/4001` : `/ip4/198.51.100.${i + 3}/udp/4001/quic-v1`, direction: i % 2 ? "in" : "out",
      rtt_ms: [0.8, 12.4, 31, 78, 164, 23, 47][i % 7] * (1 + 0.04 * Math.sin(up + i)), mesh: i % 4 !== 3, agent: "murmur/0.1.0", received_bytes: Math.floor(received / (i + 1.6)), sent_bytes: Math.floor((sent / peerCount) * (1 + (i % 3) / 3)),
    })),
    traffic: { received_bytes: received, sent_bytes: Math.floor(sent), received_bps: bps * (1 + 0.12 * Math.sin(up * 1.3)), sent_bps: 1.7 * bps * (1 + 0.2 * Math.sin(up * 0.7)) },
  };
}

function blocking(b, name, q, req, send) {
  const due = () => {
    if (b.state === "ended" || !q.has("_HLS_msn")) return true;
    const last = b.segments.length - 1, msn = Number(q.get("_HLS_msn")), part = Number(q.get("_HLS_part") ?? 0);
    return last > msn || (last === msn && b.segments[last].parts.length > part);
  };
  const done = (code, body) => (listeners.delete(tell), clearTimeout(timer), send(code, body));
  const tell = () => due() && done(200, mediaPlaylist(b, name));
  const timer = setTimeout(() => done(503, ""), 6000);
  req.on("close", () => (listeners.delete(tell), clearTimeout(timer)));
  listeners.add(tell);
  tell();
}

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4", ".m4s": "video/mp4", ".jpg": "image/jpeg", ".json": "application/json" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const recorded = record();

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
    else if (what === "recordings") recordingCount = Number(url.searchParams.get("n") ?? 6);
    else if (what === "stripes") stripeCount = Number(url.searchParams.get("n") ?? 16);
    else if (what === "role") role = url.searchParams.get("r") ?? "viewer";
    else if (what === "store") quota = Number(url.searchParams.get("quota") ?? 20e9);
    else if (what === "full") full = url.searchParams.get("no") === null;
    else if (what === "late") current.short = Math.max(1, current.segments.length - Math.round(s / target));
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
  const kept = /^\/(?:b\/0rec\d+|ipfs\/\w+)\/((?:sound\/)?[\w.]+)$/.exec(path);
  if (kept) {
    const file = join(recorded, kept[1]);
    if (!existsSync(file)) return send(404, "");
    const { size } = statSync(file);
    const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
    const [from, to] = range ? [Number(range[1]), Math.min(size - 1, range[2] ? Number(range[2]) : size - 1)] : [0, size - 1];
    res.writeHead(range ? 206 : 200, { "content-type": types[extname(file)] ?? "application/octet-stream", "accept-ranges": "bytes", "content-length": to - from + 1, ...(range && { "content-range": `bytes ${from}-${to}/${size}` }) });
    return res.end(readFileSync(file).subarray(from, to + 1));
  }
  const live = path === "/live.m3u8" ? [null, current?.id, "index.m3u8"] : /^\/b\/(\w+)\/(.+)$/.exec(path);
  const b = live && broadcasts.get(live[1]);
  if (live) {
    if (!b) return send(404, "");
    const name = live[2].replace(/^main\//, "");
    if (live[2] === "index.m3u8") return send(200, `#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.42c01f,mp4a.40.2",RESOLUTION=1280x720\n/b/${b.id}/main/${b.short ? "dvr" : "index"}.m3u8\n`);
    if (name === "index.m3u8" || name === "dvr.m3u8") return blocking(b, name, url.searchParams, req, send);
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

if (!process.argv.includes("--idle")) begin("Opening keynote: what starlings know about streaming", past);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (feed?.kill(), process.exit()));
