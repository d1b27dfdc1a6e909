// The channel's recordings in the order and the words in which the page lists them.

import { bytes, clock, span } from "./format";
import type { Recording } from "./status";

/** Newest first; ids sort by start time. */
export function newestFirst(rs: readonly Recording[]): Recording[] {
  return [...rs].sort((a, b) => (b.started ?? 0) - (a.started ?? 0) || (a.broadcast < b.broadcast ? 1 : -1));
}

export const nameOf = (r: Recording): string => r.title || "Untitled";

/** "22 Nov 2026, 16:11", in the reader's own time zone. */
export function dateLine(ms: number | null): string {
  if (ms === null) return "";
  const t = new Date(ms);
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][t.getMonth()];
  return `${t.getDate()} ${month} ${t.getFullYear()}, ${String(t.getHours()).padStart(2, "0")}:${String(t.getMinutes()).padStart(2, "0")}`;
}

export const lengthOf = (r: Recording): string => (r.durationS > 0 ? clock(r.durationS) : "");

export function factsLine(r: Recording): string {
  return [dateLine(r.started), r.bytes > 0 ? bytes(r.bytes).replace(" ", "\u00a0") : ""].filter(Boolean).join(" · ");
}

/** A chunk is a quarter of a second. */
const chunkS = 0.25;

export function stateLine(r: Recording): string {
  if (r.locked !== "") return "Private: it plays with the link that has its key";
  const lost = r.missing > 0 ? `about ${span(Math.max(1, r.missing * chunkS))} missing` : "";
  switch (r.state) {
    case "live":
      return r.full ? "The disk is full: what comes is not kept" : "Being recorded now";
    case "partial":
      return lost ? `Incomplete: ${lost}` : "Incomplete";
    case "finished":
      return lost ? `Kept here, ${lost}` : "Kept here, complete";
    case "listed":
      return "Not kept here: fetched as you watch";
  }
}

/** Who else holds it, and whether it stays; "" where nothing is known. */
export function holdersLine(r: Recording): string {
  const others = r.replicas === 0 ? "" : r.replicas === 1 ? "1 other holds it" : `${r.replicas} others hold it`;
  return [r.pinned ? "pinned" : "", others].filter(Boolean).join(" · ");
}

/** For the link that plays it. */
export function playWords(r: Recording): string {
  return [`Play ${nameOf(r)}`, dateLine(r.started), r.durationS > 0 ? span(r.durationS) : ""].filter(Boolean).join(", ");
}

/** How to show a poster: node/archive makes a small MP4, other tools may give a picture. */
export function posterKind(path: string): "film" | "picture" | "none" {
  if (/\.mp4($|\?)/i.test(path)) return "film";
  return /\.(jpe?g|png|webp)($|\?)/i.test(path) ? "picture" : "none";
}

/** What a recording has to show. */
export type Showing = "poster" | "sound" | "nothing";

/** Path of the table of contents beside a poster. */
export const infoOf = (poster: string): string => poster.replace(/[^/]*$/, "info.json");

/**
 * Whether the poster at this path is there, by the recording's info.json (node/archive/unixfs/FORMAT.md): asking for one
 * that is not is an error in the browser's console and on the network.
 */
export function showing(info: unknown, poster: string): Showing {
  const { files, tracks } = (info ?? {}) as { files?: unknown; tracks?: unknown };
  const name = poster.slice(poster.lastIndexOf("/") + 1);
  if (Array.isArray(files) && files.some((f) => (f as { name?: unknown } | null)?.name === name)) return "poster";
  const heights = Array.isArray(tracks) ? tracks.map((t) => (t as { height?: unknown } | null)?.height) : [];
  return heights.length > 0 && heights.every((h) => !h) ? "sound" : "nothing";
}
