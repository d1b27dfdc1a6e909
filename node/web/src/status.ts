// What the node says of itself at /api/v1/status, read tolerantly: a page may be older or newer
// than the node that answers, so an absent or odd field becomes a neutral value, never an error.

export type BroadcastState = "live" | "waiting" | "ended";

export interface ChunkCounts {
  received: number;
  published: number;
  relayed: number;
  missed: number;
  fetched: number;
  duplicates: number;
  rejected: number;
}

export interface Delay {
  /** Milliseconds from capture to this node. */
  p50: number;
  p95: number;
  max: number;
}

/** This node's place in the tree of one stripe. */
export interface Stripe {
  /** Peer id of the neighbour that sends it to us, "" where there is none: at the origin, or just now. */
  parent: string;
  /** Milliseconds: the age of chunks when the stripe brings them. */
  ageMs: number;
  /** Neighbours that this node sends it to. */
  children: number;
}

export interface Track {
  name: string;
  codecs: string;
  playlist: string;
  partTargetMs: number;
  epoch: number;
  newestSeq: number;
  /** Milliseconds since 1970, or null before the first chunk. */
  newestCaptured: number | null;
  delay: Delay | null;
  chunks: ChunkCounts;
  /** Empty at a node that spreads whole messages. */
  stripes: Stripe[];
}

export interface Broadcast {
  id: string;
  title: string;
  state: BroadcastState;
  started: number | null;
  playlist: string;
  /** Why it cannot be shown here, as where the key of a private one is missing; "" where it can. */
  locked: string;
  tracks: Track[];
}

export interface Peer {
  id: string;
  addr: string;
  direction: "in" | "out" | "";
  rttMs: number | null;
  mesh: boolean;
  agent: string;
  receivedBytes: number;
  sentBytes: number;
}

export interface Traffic {
  receivedBytes: number;
  sentBytes: number;
  /** Bits per second. */
  receivedBps: number;
  sentBps: number;
}

/** "listed": the channel has it, this node does not. */
export type RecordingState = "live" | "partial" | "finished" | "listed";

export interface Recording {
  /** The broadcast's id. */
  broadcast: string;
  title: string;
  started: number | null;
  durationS: number;
  bytes: number;
  /** CID, "" before it is finished. */
  root: string;
  state: RecordingState;
  pinned: boolean;
  /** Chunks known to be missing here. */
  missing: number;
  /** What comes is not kept: the disk is full. */
  full: boolean;
  /** Others known to hold it. */
  replicas: number;
  /** Path of the playlist. */
  url: string;
  /** Path of a picture or of a small film, "" where there is none. */
  poster: string;
  /** As a broadcast's. */
  locked: string;
}

export interface Store {
  bytes: number;
  /** 0: no limit. */
  quotaBytes: number;
  /** Of the file system. */
  freeBytes: number;
  recordings: number;
  /** There is no room for what comes. */
  full: boolean;
}

export interface Status {
  version: string;
  role: string;
  peerId: string;
  uptimeS: number;
  /** The node's clock when it wrote this, milliseconds since 1970. */
  now: number | null;
  channel: string;
  title: string;
  link: string;
  broadcasts: Broadcast[];
  peers: Peer[];
  traffic: Traffic;
  recordings: Recording[];
  /** null where nothing is kept on disk. */
  store: Store | null;
}

type Fields = Record<string, unknown>;

const fields = (v: unknown): Fields => (typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Fields) : {});
const list = (v: unknown): Fields[] => (Array.isArray(v) ? v.map(fields) : []);
const text = (v: unknown): string => (typeof v === "string" ? v : "");
const count = (v: unknown): number => (typeof v === "number" && Number.isFinite(v) && v > 0 ? v : 0);

function moment(v: unknown): number | null {
  const ms = Date.parse(text(v));
  // Go's zero time is year 1: it means "never".
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}

/** A path on this very server, or nothing: a status must not send the player elsewhere. */
function localPath(v: unknown): string {
  const p = text(v);
  return p.startsWith("/") && !p.startsWith("//") && !p.startsWith("/\\") ? p : "";
}

function chunkCounts(v: unknown): ChunkCounts {
  const c = fields(v);
  return {
    received: count(c.received),
    published: count(c.published),
    relayed: count(c.relayed),
    missed: count(c.missed),
    fetched: count(c.fetched),
    duplicates: count(c.duplicates),
    rejected: count(c.rejected),
  };
}

function delay(v: unknown): Delay | null {
  const d = fields(v);
  // All zero: nothing was measured.
  if (count(d.max) === 0) return null;
  return { p50: count(d.p50), p95: count(d.p95), max: count(d.max) };
}

/** More than this no track has; a picture of more would say nothing. */
const mostStripes = 64;

function track(t: Fields): Track {
  return {
    name: text(t.name),
    codecs: text(t.codecs),
    playlist: localPath(t.playlist),
    partTargetMs: count(t.part_target_ms),
    epoch: count(t.epoch),
    newestSeq: count(t.newest_seq),
    newestCaptured: moment(t.newest_captured),
    delay: delay(t.delay_ms),
    chunks: chunkCounts(t.chunks),
    stripes: list(t.stripes)
      .slice(0, mostStripes)
      .map((x) => ({ parent: text(x.parent), ageMs: count(x.age_ms), children: count(x.children) })),
  };
}

function broadcast(b: Fields): Broadcast {
  const id = text(b.id);
  const state = text(b.state);
  return {
    id,
    title: text(b.title),
    state: state === "live" || state === "ended" ? state : "waiting",
    started: moment(b.started),
    playlist: localPath(b.playlist) || `/b/${encodeURIComponent(id)}/index.m3u8`,
    locked: text(b.locked),
    tracks: list(b.tracks).map(track),
  };
}

function peer(p: Fields): Peer {
  const direction = text(p.direction);
  return {
    id: text(p.id),
    addr: text(p.addr),
    direction: direction === "in" || direction === "out" ? direction : "",
    rttMs: count(p.rtt_ms) || null,
    mesh: p.mesh === true,
    agent: text(p.agent),
    receivedBytes: count(p.received_bytes),
    sentBytes: count(p.sent_bytes),
  };
}

const recordingStates: readonly string[] = ["live", "partial", "finished", "listed"] satisfies RecordingState[];

function recording(r: Fields): Recording {
  const id = text(r.broadcast);
  const root = text(r.root);
  const state = text(r.state);
  return {
    broadcast: id,
    title: text(r.title),
    started: moment(r.started),
    durationS: count(r.duration_s),
    bytes: count(r.bytes),
    root,
    state: recordingStates.includes(state) ? (state as RecordingState) : root ? "listed" : "partial",
    pinned: r.pinned === true,
    missing: count(r.missing),
    full: r.full === true,
    replicas: count(r.replicas),
    url: localPath(r.url) || `/b/${encodeURIComponent(id)}/index.m3u8`,
    poster: localPath(r.poster),
    locked: text(r.locked),
  };
}

function store(v: unknown, recordings: readonly Recording[]): Store | null {
  const s = fields(v);
  const found = { bytes: count(s.bytes), quotaBytes: count(s.quota_bytes), freeBytes: count(s.free_bytes), recordings: count(s.recordings) };
  const full = s.full === true || recordings.some((r) => r.full);
  return full || Object.values(found).some((n) => n > 0) ? { ...found, full } : null;
}

export function parseStatus(raw: unknown): Status {
  const s = fields(raw);
  const t = fields(s.traffic);
  const recordings = list(s.recordings)
    .map(recording)
    .filter((r) => r.broadcast !== "");
  return {
    version: text(s.version),
    role: text(s.role),
    peerId: text(s.peer_id),
    uptimeS: count(s.uptime_s),
    now: moment(s.now),
    channel: text(s.channel),
    title: text(s.title),
    link: text(s.link),
    broadcasts: list(s.broadcasts)
      .map(broadcast)
      .filter((b) => b.id !== ""),
    peers: list(s.peers)
      .map(peer)
      .filter((p) => p.id !== ""),
    traffic: {
      receivedBytes: count(t.received_bytes),
      sentBytes: count(t.sent_bytes),
      receivedBps: count(t.received_bps),
      sentBps: count(t.sent_bps),
    },
    recordings,
    store: store(s.store, recordings),
  };
}

/** The counts of all tracks of a broadcast together. */
export function totals(b: Broadcast | undefined): ChunkCounts {
  const sum = chunkCounts(null);
  for (const t of b?.tracks ?? []) {
    for (const k of Object.keys(sum) as (keyof ChunkCounts)[]) sum[k] += t.chunks[k];
  }
  return sum;
}

/** True once there is something to play: before that the playlist has no media to list. */
export function hasMedia(b: Broadcast): boolean {
  return b.tracks.some((t) => t.newestCaptured !== null || t.chunks.received + t.chunks.published > 0);
}

/** True when another run of the node answers than before: its playlists may count anew. */
export function restarted(before: Status | null, after: Status): boolean {
  return before !== null && (after.uptimeS + 1 < before.uptimeS || after.peerId !== before.peerId);
}
