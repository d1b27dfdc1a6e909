// Which broadcast the page shows, and how it stands: pure decisions over the node's status.

import type { Route } from "./route";
import { type Broadcast, type Recording, type Status, hasMedia } from "./status";

/**
 * What the page tells the viewer. "interrupted": it had begun, and nothing new arrives. "recording": one is asked for.
 * "unknown": one that nobody has told of. "locked": what is on, or asked for, is private, and its key is not here.
 */
export type ViewState = "connecting" | "offline" | "waiting" | "live" | "interrupted" | "ended" | "recording" | "unknown" | "locked";

export type Decision =
  | { action: "stay" }
  | { action: "load"; broadcast: Broadcast }
  /** Another broadcast is on, but the viewer is still watching this one: ask. */
  | { action: "offer"; broadcast: Broadcast };

/** Ids sort by start time, so the greatest id is the newest broadcast. */
function newest(bs: Broadcast[]): Broadcast | undefined {
  return bs.reduce<Broadcast | undefined>((best, b) => (!best || b.id > best.id ? b : best), undefined);
}

/** The broadcast to show to somebody who comes now: what is live, else what was interrupted, else the last one. */
export function pick(status: Status): Broadcast | undefined {
  const playable = status.broadcasts.filter((b) => hasMedia(b) && b.locked === "");
  for (const state of ["live", "waiting", "ended"] as const) {
    const b = newest(playable.filter((x) => x.state === state));
    if (b) return b;
  }
  return undefined;
}

/**
 * Channel follow: what to do with the player when a new status has come.
 * @param current the id that is loaded, or "" when none is
 * @param busy there is still something of the loaded broadcast to see: it has not played to its end, or run dry
 * @param quiet nothing new of the loaded broadcast has come for a while, whatever its state says
 */
export function decide(status: Status, current: string, busy: boolean, quiet = false): Decision {
  const best = pick(status);
  if (!best || best.id === current) return { action: "stay" };
  const now = status.broadcasts.find((b) => b.id === current);
  if (current === "" || !now) {
    // What is loaded is unknown to the node (it restarted, or the window expired). An ended one
    // that is being watched to its end is left alone; a live one takes over.
    if (current === "" || !busy) return { action: "load", broadcast: best };
    if (best.state === "ended") return { action: "stay" };
    // It is over and kept: who is behind sees it to its end.
    const kept = status.recordings.some((r) => r.broadcast === current && r.state !== "live");
    return { action: kept ? "offer" : "load", broadcast: best };
  }
  if (best.state === "ended") return { action: "stay" };
  // A live broadcast is never left for another that runs beside it.
  if (now.state === "live" && !quiet) return { action: "stay" };
  // An interrupted one is left only for one that began later and is really on: an origin that died
  // and came back with a new broadcast leaves the old one without an end.
  if (now.state !== "ended") return best.state === "live" && best.id > now.id && !busy ? { action: "load", broadcast: best } : { action: "stay" };
  return busy ? { action: "offer", broadcast: best } : { action: "load", broadcast: best };
}

/** Silence in which no new chunk came before a "live" broadcast is called interrupted: several chunks and a repair. */
export const quietAfterMs = 3500;

/** Remembers when the newest chunk last changed, by this computer's own clock: no agreement of clocks needed. */
export class Pulse {
  private key = "";
  private since = 0;

  /** Milliseconds since the newest chunk of b changed. */
  quiet(b: Broadcast, nowMs: number): number {
    const key = b.id + b.tracks.map((t) => `/${t.epoch}-${t.newestSeq}`).join("");
    if (key !== this.key) {
      this.key = key;
      this.since = nowMs;
    }
    return nowMs - this.since;
  }
}

/** What the address asks for that is not the live broadcast. */
export type Asked =
  | { what: "live" }
  /** A recording's address, but it is still on. */
  | { what: "broadcast"; broadcast: Broadcast }
  | { what: "recording"; recording: Recording }
  /** A recording that cannot be shown here. */
  | { what: "locked"; recording: Recording }
  /** Not told of, or not yet. */
  | { what: "unknown" };

/** @param route of a replay without an address: its first recording */
export function asked(status: Status, route: Route): Asked {
  const id = route.show === "recording" ? route.broadcast : status.role === "replay" ? status.recordings[0]?.broadcast : undefined;
  if (id === undefined) return { what: "live" };
  const on = status.broadcasts.find((b) => b.id === id && b.state !== "ended" && hasMedia(b) && b.locked === "");
  if (on) return { what: "broadcast", broadcast: on };
  const recording = status.recordings.find((r) => r.broadcast === id);
  if (!recording) return { what: "unknown" };
  return { what: recording.locked === "" ? "recording" : "locked", recording };
}

/** What is on now, for the way back from a recording. */
export function onAir(status: Status | null): Broadcast | undefined {
  const b = status ? pick(status) : undefined;
  return b?.state === "live" ? b : undefined;
}

export interface Surroundings {
  /** A status has come in the last seconds. */
  connected: boolean;
  status: Status | null;
  current: string;
  quietMs: number;
  /** Default: live. */
  asked?: Asked["what"];
}

export function viewState({ connected, status, current, quietMs, asked = "live" }: Surroundings): ViewState {
  if (!status) return "connecting";
  if (!connected) return "offline";
  if (asked === "recording" || asked === "unknown" || asked === "locked") return asked;
  const b = status.broadcasts.find((x) => x.id === current) ?? pick(status);
  if (!b && status.broadcasts.some((x) => x.locked !== "" && x.state !== "ended")) return "locked";
  if (!b) return status.broadcasts.some((x) => x.state === "ended") ? "ended" : "waiting";
  if (b.state === "ended") return "ended";
  if (!hasMedia(b)) return "waiting";
  if (b.state === "waiting" || quietMs > quietAfterMs) return "interrupted";
  return "live";
}

/** Younger than this, a broadcast's playlist is shorter than the distance that players keep from live, with a segment to spare. */
const newbornMs = 6000;

/** @param nowMs the node's clock */
export function newborn(b: Broadcast, nowMs: number): boolean {
  return b.state !== "ended" && b.started !== null && Math.abs(nowMs - b.started) < newbornMs;
}
