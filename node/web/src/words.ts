// What the page says, in one place: states, troubles and what to do about them.

import type { ViewState } from "./broadcast";
import type { Trouble } from "./engine";
import type { Status } from "./status";
import { span } from "./format";
import { makeRoom } from "./storage";

export interface Veil {
  title: string;
  text: string;
}

export const stateWord: Record<ViewState, string> = {
  connecting: "Connecting",
  offline: "No answer from the node",
  waiting: "Waiting for the broadcast",
  live: "Live",
  interrupted: "Interrupted",
  ended: "Ended",
  recording: "Recording",
  unknown: "Not known here",
  locked: "Private",
};

/** What stands in place of the picture when there is none. */
export function veil(state: ViewState, status: Status | null): Veil {
  switch (state) {
    case "connecting":
      return { title: "Connecting", text: "Asking the murmur node for what is on." };
    case "offline":
      return { title: "The node does not answer", text: "This page goes on by itself when it is back." };
    case "waiting":
      return status && status.role === "viewer" && status.peers.length === 0
        ? { title: "Looking for the flock", text: "No neighbour has answered yet. The broadcast appears here as soon as one does." }
        : { title: "Waiting for the broadcast", text: "It begins here by itself. You need not reload." };
    case "interrupted":
      return { title: "The transmission is interrupted", text: "The picture returns here by itself." };
    case "ended":
      return { title: "The broadcast has ended", text: "When the next one begins on this channel, it plays here by itself." };
    case "recording":
      return { title: "The end", text: "" };
    case "unknown":
      return { title: "Nobody has told of this recording yet", text: "It plays here as soon as the channel lists it, or somebody who has it is found." };
    case "locked":
      return {
        title: "This broadcast is private",
        text: status?.role === "seed" ? "It is carried and kept here, and shown to those who have the link with its key." : "It plays with the link that has its key (k=…).",
      };
    case "live":
      return { title: "", text: "" };
  }
}

export interface Advice {
  title: string;
  text: string;
  /** Shown sooner or later: short outages cure themselves. */
  afterMs: number;
}

/** What is wrong and what to do about it, the weightiest first; null when nothing is. */
export function advice(state: ViewState, status: Status | null, trouble: Trouble | null, clocksDisagree: boolean, canPlay: boolean): Advice | null {
  if (!canPlay) return { title: "This browser cannot play the stream.", text: "Use a current Chromium, Firefox or Safari, or open /live.mp4 of this address in VLC or mpv.", afterMs: 0 };
  if (state === "offline") {
    return { title: "The murmur node on this computer does not answer.", text: "If it was stopped, start it again in its terminal; this page reconnects by itself.", afterMs: 0 };
  }
  if (trouble?.kind === "codec") {
    const codecs = status?.broadcasts.flatMap((b) => b.tracks.map((t) => t.codecs)).find(Boolean);
    return {
      title: `This browser has no decoder for ${codecs || "this stream"}.`,
      text: "Try another browser, or open /live.mp4 of this address in VLC or mpv. The organiser can send H.264 and AAC, which play everywhere.",
      afterMs: 0,
    };
  }
  if (trouble?.kind === "media") return { title: "The player stumbled over the stream.", text: "It is starting anew. If it keeps on, reload the page.", afterMs: 1500 };
  if (state === "interrupted" && status?.role === "viewer" && status.peers.length === 0) {
    return { title: "No neighbours are left.", text: "Check this computer's network. Behind a strict firewall, let UDP out.", afterMs: 3000 };
  }
  if (trouble?.kind === "network" && (state === "live" || state === "recording")) return { title: "The stream does not come through.", text: `Trying again (${trouble.detail}). If it lasts: is the murmur node on this computer busy, or its terminal full of errors?`, afterMs: 3000 };
  if (status?.store?.full) {
    return { title: "The disk is full: nothing more is recorded here.", text: `The broadcast itself goes on. ${makeRoom}`, afterMs: 0 };
  }
  if (clocksDisagree) {
    return { title: "The clocks of the venue and of this computer differ.", text: "So the delay cannot be shown; playback is not affected. Setting the clock by the network (NTP) cures it.", afterMs: 2000 };
  }
  return null;
}

/** For the line beneath the title. */
export function sinceLine(state: ViewState, startedMs: number | null, quietMs: number, nowMs: number): string {
  if (state === "interrupted") return `nothing new for ${span(quietMs / 1000)}`;
  if (startedMs === null || (state !== "live" && state !== "ended")) return "";
  const at = new Date(startedMs);
  const hhmm = `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
  return state === "live" ? `since ${hhmm}, ${span((nowMs - startedMs) / 1000)}` : `began at ${hhmm}`;
}
