// Where a viewer stands in a broadcast: at live, behind it on purpose, or in one that is over. Only whoever is at live is
// kept there (pace.ts, hls.ts); somebody who paused or went back is left where he is until he asks for live.

import { clock, span } from "./format";

/** The part of the broadcast that can be watched, in seconds of the video's own time. */
export interface Window {
  start: number;
  /** The newest moment that the playlist names. */
  edge: number;
  /** Where a live viewer should be. */
  live: number;
  ended: boolean;
}

/** Behind the live position by more than this is "behind", whoever is to blame. */
const behindS = 3;

/** A seek that ends this near to live means live. */
const catchS = 1;

export class Dvr {
  /** Stay close to live. */
  following = true;

  /** @param live a broadcast that is on, to be shown as it happens */
  load(live: boolean): void {
    this.following = live;
  }

  pause(): void {
    this.following = false;
  }

  /** Returns where to go. */
  live(w: Window): number {
    this.following = !w.ended;
    return w.live;
  }

  /** Returns where to go: within the window. */
  seek(to: number, w: Window): number {
    const target = Math.min(Math.max(to, w.start), w.live);
    this.following = !w.ended && target > w.live - catchS;
    return target;
  }

  /** The playlist says that it will not grow any more: from here on there is no live to stay close to. */
  window(w: Window): void {
    if (w.ended) this.following = false;
  }
}

export type Standing =
  /** Nothing to stand in yet. */
  | { at: "nothing" }
  | { at: "live" }
  | { at: "behind"; seconds: number }
  /** In something that is over: seconds from its start, and of all of it. */
  | { at: "recorded"; seconds: number; length: number };

export interface Viewer {
  position: number;
  following: boolean;
  paused: boolean;
  started: boolean;
}

export function standing(w: Window | null, v: Viewer): Standing {
  const length = w ? w.live - w.start : 0;
  if (!w || length <= 0) return { at: "nothing" };
  if (w.ended) return { at: "recorded", seconds: Math.min(length, Math.max(0, v.position - w.start)), length };
  const seconds = v.started ? Math.max(0, w.live - v.position) : 0;
  return v.started && (!v.following || v.paused || seconds > behindS) ? { at: "behind", seconds } : { at: "live" };
}

/** For the place beside the buttons: "−12:34", or "1:23 / 42:10". */
export function positionText(s: Standing): string {
  if (s.at === "behind") return `−${clock(s.seconds)}`;
  if (s.at === "recorded") return `${clock(s.seconds)} / ${clock(s.length)}`;
  return "";
}

/** The same for screen readers. */
export function positionWords(s: Standing): string {
  if (s.at === "behind") return `${span(s.seconds)} behind live`;
  if (s.at === "recorded") return `${clock(s.seconds)} of ${clock(s.length)}`;
  return s.at === "live" ? "live" : "";
}

/** What the button that leads to live says of itself. */
export function liveWords(s: Standing): string {
  return s.at === "behind" ? `Back to live: now ${span(s.seconds)} behind` : "At live";
}

/** What of a broadcast lies before the window of a player that began with too short a list (see edition). */
export interface Missing {
  /** Seconds. */
  seconds: number;
}

/**
 * A node that learns late what was before shows it under another name: the list that a player holds already does not
 * grow at its beginning.
 * @param playing path of the media playlist that is being played
 * @param offered path of the track's media playlist by the newest status
 * @param windowDate capture time of the window's start, milliseconds since 1970
 * @param started when the broadcast began, milliseconds since 1970
 */
export function edition(playing: string, offered: string, windowDate: number | null, started: number | null): Missing | null {
  if (playing === "" || offered === "" || playing === offered || windowDate === null || started === null) return null;
  const seconds = (windowDate - started) / 1000;
  return seconds > 1 ? { seconds } : null;
}
