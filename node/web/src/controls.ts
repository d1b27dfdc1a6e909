// Buttons, sliders and keys of the player.

import { byId, say, show } from "./dom";
import { type Standing, liveWords, positionText, positionWords } from "./dvr";
import type { Player } from "./player";

const stage = byId("stage");
const play = byId<HTMLButtonElement>("play");
const bigPlay = byId<HTMLButtonElement>("big-play");
const mute = byId<HTMLButtonElement>("mute");
const unmute = byId<HTMLButtonElement>("unmute");
const volume = byId<HTMLInputElement>("volume");
const timeline = byId<HTMLInputElement>("timeline");
const position = byId("position");
const fromStart = byId<HTMLButtonElement>("from-start");
const goLive = byId<HTMLButtonElement>("go-live");
const full = byId<HTMLButtonElement>("full");

/** Seconds that an arrow key jumps. */
const jump = 10;

/** The controls leave the picture this long after the last movement. */
const idleMs = 2600;

const volumeKey = "murmur.volume";

/** A slider in motion asks for places it only passes, and each may have to be fetched: seek where it rests this long. */
const restMs = 150;

/** Less than this to go back to is not worth a button. */
const shortS = 5;

type OldFullscreen = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export class Controls {
  private dragging = false;
  private idle = 0;
  private rest = 0;

  constructor(private readonly player: Player) {
    const { video } = player;
    play.addEventListener("click", () => player.toggle());
    bigPlay.addEventListener("click", () => void player.play());
    video.addEventListener("click", () => player.toggle());
    mute.addEventListener("click", () => this.toggleMute());
    unmute.addEventListener("click", () => player.unmute());
    fromStart.addEventListener("click", () => this.toStart());
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
    timeline.addEventListener("input", () => {
      clearTimeout(this.rest);
      this.rest = window.setTimeout(() => this.seekTo(timeline.valueAsNumber), restMs);
      this.renderTimeline();
    });
    timeline.addEventListener("change", () => this.seekTo(timeline.valueAsNumber));

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
    if (document.activeElement !== volume) volume.value = String(video.muted ? 0 : video.volume);
    volume.style.setProperty("--done", String(video.muted ? 0 : video.volume));
    this.renderTimeline();
  }

  private renderTimeline(): void {
    const { player } = this;
    const w = player.reach;
    const length = w ? w.live - w.start : 0;
    timeline.disabled = length < 1;
    if (w && length >= 1) {
      timeline.min = String(w.start);
      timeline.max = String(w.live);
      if (!this.moving) timeline.value = String(player.video.currentTime);
      timeline.style.setProperty("--done", String(Math.min(1, Math.max(0, (timeline.valueAsNumber - w.start) / length))));
    } else {
      timeline.style.setProperty("--done", "0");
    }
    const s = this.shown(player.standing);
    say(position, positionText(s));
    timeline.setAttribute("aria-valuetext", positionWords(s));
    show(fromStart, length > shortS && player.started);
    show(goLive, s.at === "live" || s.at === "behind");
    goLive.dataset.at = s.at;
    goLive.setAttribute("aria-label", liveWords(s));
    goLive.title = `${liveWords(s)} (l)`;
  }

  /** While the slider moves, the times are those of where it is. */
  private shown(s: Standing): Standing {
    const w = this.player.reach;
    if (!this.moving || !w) return s;
    if (s.at === "recorded") return { ...s, seconds: timeline.valueAsNumber - w.start };
    return s.at === "nothing" ? s : { at: "behind", seconds: w.live - timeline.valueAsNumber };
  }

  private get moving(): boolean {
    return this.dragging || this.rest !== 0;
  }

  private seekTo(position: number): void {
    clearTimeout(this.rest);
    this.rest = 0;
    this.player.seek(position);
    this.render();
  }

  private toStart(): void {
    this.seekTo(-Infinity);
    void this.player.play();
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const on = e.target instanceof HTMLElement ? e.target : document.body;
    const typing = on instanceof HTMLInputElement;
    if (on instanceof HTMLSelectElement) return;
    // Buttons and sliders keep the keys that they live on.
    if (e.key === " " && (typing || on.closest("button, summary, a"))) return;
    const moves = e.key.startsWith("Arrow") || e.key === "Home" || e.key === "End";
    // The slider of the position has a tenth of a second as its step: its keys jump as they do everywhere.
    if (moves && on !== timeline && (typing || on.closest(".peers, .table"))) return;
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
        this.seekTo(at - jump);
        break;
      case "arrowright":
        this.seekTo(at + jump);
        break;
      case "home":
        this.toStart();
        break;
      case "end":
        if (player.standing.at === "recorded") this.seekTo(Infinity);
        else player.goLive();
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
