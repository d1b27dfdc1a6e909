// The two ways to play LL-HLS: hls.js over Media Source Extensions, and the browser's own player
// (Safari on older iPhones has no MSE). Both show the same face to player.ts.

import Hls from "hls.js";
import type { Window } from "./dvr";
import { HlsEngine } from "./hls";
import { NativeEngine } from "./native";

/** Trouble that the viewer should know of. `fatal`: this browser cannot play this stream at all. */
export interface Trouble {
  kind: "network" | "media" | "codec" | "autoplay";
  fatal: boolean;
  detail: string;
}

export interface EngineHandler {
  trouble(t: Trouble): void;
  /** Media flows again. */
  recovered(): void;
  /** What there is to play begins or ends elsewhere now. */
  window(w: Window): void;
  /** Nothing helped: the owner should build a new engine. */
  giveUp(): void;
}

export interface Engine {
  readonly name: "hls.js" | "native";
  /** Capture time of the picture on screen, milliseconds since 1970. */
  playhead(): number | null;
  /** Seconds from the playhead to the live edge and what that should be; null where the browser sees to it. */
  distance(): { latency: number; target: number } | null;
  /** Whether to stay close to live, or to leave a viewer who rewound or paused where he is. */
  follow(live: boolean): void;
  /** Path of the media playlist that is played, "" while it is not known. */
  readonly playlist: string;
  /** Where in the video's own time this capture time stands; null where the playlist does not say. */
  at(dateMs: number): number | null;
  /** Capture time of the playlist's first picture, milliseconds since 1970. */
  beginning(): number | null;
  /** Names of the sounds to choose from; empty where there is one, or the browser sees to it. */
  readonly sounds: readonly string[];
  /** The one that plays; "" where there is no choice. */
  readonly sound: string;
  chooseSound(name: string): void;
  /** Heights of the pictures to choose from, in pixels. */
  readonly heights: readonly number[];
  /** 0: whichever the computer keeps up with. */
  chooseHeight(height: number): void;
  destroy(): void;
}

/** How to start. */
export interface Start {
  /**
   * The broadcast began a moment ago: play it from its first picture. There is not yet the usual distance from live,
   * and hls.js would jump to it after the start, into a segment that it then loads over and over until the next one is
   * there.
   */
  newborn: boolean;
  /** Seconds of the video's own time; null: at live, or at the beginning of what is over. */
  position: number | null;
  /** Stay close to live. */
  follow: boolean;
  /** Name of the sound to play where it is there; "": the first. */
  sound: string;
  /** Height of the picture to play where it is there; 0: whichever suits. */
  height: number;
}

export function canPlay(video: HTMLVideoElement): boolean {
  return Hls.isSupported() || video.canPlayType("application/vnd.apple.mpegurl") !== "";
}

export function createEngine(video: HTMLVideoElement, url: string, handler: EngineHandler, start: Start): Engine {
  return Hls.isSupported() ? new HlsEngine(video, url, handler, start) : new NativeEngine(video, url, handler, start);
}
