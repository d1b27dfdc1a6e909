// Buttons, sliders and keys of the player.

import { byId, say, show } from "./dom";
import { clock, span } from "./format";
import type { Player } from "./player";

const stage = byId("stage");
const play = byId<HTMLButtonElement>("play");
const bigPlay = byId<HTMLButtonElement>("big-play");
const mute = byId<HTMLButtonElement>("mute");
const unmute = byId<HTMLButtonElement>("unmute");
const volume = byId<HTMLInputElement>("volume");
const timeline = byId<HTMLInputElement>("timeline");
const position = byId("position");
const goLive = byId<HTMLButtonElement>("go-live");
const full = byId<HTMLButtonElement>("full");

/** Seconds that an arrow key jumps. */
const jump = 5;

/** The controls leave the picture this long after the last movement. */
const idleMs = 2600;

const volumeKey = "murmur.volume";

type OldFullscreen = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export class Controls {
  private dragging = false;
  private idle = 0;

  constructor(private readonly player: Player) {
    const { video } = player;
    play.addEventListener("click", () => player.toggle());
    bigPlay.addEventListener("click", () => void player.play());
    video.addEventListener("click", () => player.toggle());
    mute.addEventListener("click", () => this.toggleMute());
    unmute.addEventListener("click", () => player.unmute());
    goLive.addEventListener("click", () => player.goLive());
    full.addEventListener("click", () => this.toggleFull());
    volume.addEventListener("input", () => {
      video.volume = volume.valueAsNumber;
      video.muted = video.volume === 0;
      if (!video.muted) player.soundBlocked = false;
    });
    video.addEventListener("volumechange", () => remember(video.volume));
    video.volume = remembered();

    timeline.addEventListener("pointerdown", () => (this.dragging = true));
    for (const e of ["pointerup", "pointercancel", "blur"]) timeline.addEventListener(e, () => (this.dragging = false));
    timeline.addEventListener("input", () => player.seek(timeline.valueAsNumber));

    document.addEventListener("keydown", (e) => this.key(e));
    for (const e of ["pointermove", "pointerdown", "focusin", "keydown"]) stage.addEventListener(e, () => this.wake());
    stage.addEventListener("pointerleave", () => this.sleep());
  }

  render(): void {
    const { player } = this;
    const { video } = player;
    const paused = video.paused;
    stage.dataset.paused = String(paused);
    stage.dataset.muted = String(video.muted || video.volume === 0);
    play.setAttribute("aria-label", paused ? "Play" : "Pause");
    mute.setAttribute("aria-label", video.muted ? "Sound on" : "Sound off");
    show(unmute, player.soundBlocked && video.muted && player.started);
    show(goLive, player.isBehind && !!player.window);
    if (document.activeElement !== volume) volume.value = String(video.muted ? 0 : video.volume);
    volume.style.setProperty("--done", String(video.muted ? 0 : video.volume));
    this.renderTimeline();
  }

  private renderTimeline(): void {
    const w = this.player.window;
    const length = w ? w.live - w.start : 0;
    timeline.disabled = length < 1;
    if (!w || length < 1) {
      say(position, "");
      timeline.style.setProperty("--done", "0");
      return;
    }
    const at = this.player.video.currentTime;
    timeline.min = String(w.start);
    timeline.max = String(w.live);
    if (!this.dragging) timeline.value = String(at);
    timeline.style.setProperty("--done", String(Math.min(1, Math.max(0, (at - w.start) / length))));
    const behind = this.player.behind();
    if (w.ended) say(position, `${clock(Math.min(length, at - w.start))} / ${clock(length)}`);
    else say(position, this.player.isBehind ? `−${clock(behind)}` : "");
    timeline.setAttribute("aria-valuetext", w.ended ? clock(at - w.start) : this.player.isBehind ? `${span(behind)} behind live` : "live");
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const on = e.target instanceof HTMLElement ? e.target : document.body;
    const typing = on instanceof HTMLInputElement;
    // Buttons and sliders keep the keys that they live on.
    if (e.key === " " && (typing || on.closest("button, summary, a"))) return;
    if (e.key.startsWith("Arrow") && (typing || on.closest("ul"))) return;
    if (typing && on.type === "text") return;
    const { player } = this;
    const at = player.video.currentTime;
    switch (e.key.toLowerCase()) {
      case " ":
      case "k":
        player.toggle();
        break;
      case "m":
        this.toggleMute();
        break;
      case "f":
        this.toggleFull();
        break;
      case "l":
        player.goLive();
        break;
      case "arrowleft":
        player.seek(at - jump);
        break;
      case "arrowright":
        player.seek(at + jump);
        break;
      default:
        return;
    }
    e.preventDefault();
    this.wake();
  }

  private toggleMute(): void {
    if (this.player.video.muted) this.player.unmute();
    else this.player.video.muted = true;
  }

  private toggleFull(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else if ("requestFullscreen" in stage) void stage.requestFullscreen().catch(() => undefined);
    else (this.player.video as OldFullscreen).webkitEnterFullscreen?.();
  }

  private wake(): void {
    stage.dataset.awake = "true";
    clearTimeout(this.idle);
    this.idle = window.setTimeout(() => this.sleep(), idleMs);
  }

  private sleep(): void {
    delete stage.dataset.awake;
  }
}

function remembered(): number {
  try {
    const v = Number(localStorage.getItem(volumeKey) ?? 1);
    return v > 0 && v <= 1 ? v : 1;
  } catch {
    return 1;
  }
}

function remember(v: number): void {
  try {
    localStorage.setItem(volumeKey, String(v));
  } catch {
    // Private windows may refuse storage; the volume then lasts as long as the page.
  }
}
