// hls.js as an engine: its configuration, and what to do about its errors.

import Hls, { ErrorDetails, ErrorTypes, Events, type ErrorData, type HlsConfig, type MediaPlaylist } from "hls.js";
import { Backoff } from "./backoff";
import type { Engine, EngineHandler, Start } from "./engine";
import { Target } from "./target";

/** Behind live by more than this, a live viewer is taken forward in one jump. */
const maxLatency = 4;

/** A stall with less than this ready is for want of media. */
const starvedS = 0.3;

/** hls.js insists on a finite bound; a viewer who rewound is never taken forward against his will. */
const noLatencyBound = 1e6;

/** Outages last as long as they last: playlists are asked for again until the broadcast is left. */
const forEver = 1_000_000;

/** What was long ago may have to be fetched from others, who may be far away. */
const patience = { maxTimeToFirstByteMs: 30_000, maxLoadTimeMs: 120_000 };

const config: Partial<HlsConfig> = {
  lowLatencyMode: true,
  liveSyncDuration: new Target().value,
  liveMaxLatencyDuration: maxLatency,
  // pace.ts does this, and the opposite.
  maxLiveSyncPlaybackRate: 1,
  // target.ts does this, and back.
  liveSyncOnStallIncrease: 0,
  backBufferLength: 30,
  // Behind live, more is there than will be watched, and others may have to send it.
  maxMaxBufferLength: 60,
  liveDurationInfinity: true,
  // Parts are fMP4 already, so there is nothing to transmux and nothing for a worker to do.
  enableWorker: false,
  // One request less before the first picture, on a link that is this computer's own.
  testBandwidth: false,
  // For the same reason the best quality is tried first.
  abrEwmaDefaultEstimate: 50_000_000,
  playlistLoadPolicy: {
    default: {
      // The node holds a blocking reload for at most 3 target durations.
      maxTimeToFirstByteMs: 9000,
      maxLoadTimeMs: 12_000,
      timeoutRetry: { maxNumRetry: forEver, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: forEver, retryDelayMs: 250, maxRetryDelayMs: 2000, backoff: "exponential" },
    },
  },
  manifestLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 9000,
      maxLoadTimeMs: 12_000,
      timeoutRetry: { maxNumRetry: 2, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 3, retryDelayMs: 250, maxRetryDelayMs: 2000, backoff: "exponential" },
    },
  },
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 5000,
      maxLoadTimeMs: 30_000,
      timeoutRetry: { maxNumRetry: 3, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 4, retryDelayMs: 250, maxRetryDelayMs: 2000, backoff: "exponential" },
    },
  },
};

/** The same policy with patience instead of its own bounds. */
function patient(p: HlsConfig["fragLoadPolicy"]): HlsConfig["fragLoadPolicy"] {
  return { default: { ...p.default, ...patience } };
}

/**
 * hls.js moves a live playlist by some milliseconds when it aligns it by its dates; a start that lies before the first
 * fragment then means live to it.
 */
const leastPosition = 0.2;

/** A sound that could not be had is asked for again after this. */
const againMs = 2000;

/** Picture and sound of a list do not begin together. */
const beginsSlackS = 0.5;

const codecErrors: readonly string[] = [
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
];

export class HlsEngine implements Engine {
  readonly name = "hls.js";
  private readonly hls: Hls;
  private readonly backoff = new Backoff();
  private readonly target = new Target();
  private retry = 0;
  private mediaRecoveries: number[] = [];
  private troubled = false;
  private following = true;
  private wish: string;
  private readonly askedFor = new Map<string, "asked" | "there">();
  private readonly abort = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly handler: EngineHandler,
    start: Start,
  ) {
    const position = start.newborn ? 0 : start.position === null ? null : Math.max(start.position, leastPosition);
    const hls = new Hls(position === null ? config : { ...config, startPosition: position });
    this.hls = hls;
    this.wish = start.sound;
    this.follow(start.follow);
    if (!start.follow) hls.config.manifestLoadPolicy = patient(hls.config.manifestLoadPolicy);
    hls.on(Events.ERROR, (_, data) => this.error(data));
    hls.on(Events.FRAG_BUFFERED, () => {
      this.backoff.reset();
      if (this.troubled) {
        this.troubled = false;
        handler.recovered();
      }
    });
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
      if (this.target.calm(performance.now())) hls.targetLatency = this.target.value;
      handler.window({
        start: details.fragmentStart,
        edge: details.edge,
        live: details.live ? (hls.liveSyncPosition ?? details.edge) : details.edge,
        ended: !details.live,
      });
    });
    hls.on(Events.AUDIO_TRACKS_UPDATED, () => this.tune());
    for (const e of ["seeking", "timeupdate"]) video.addEventListener(e, () => this.tune(), { signal: this.abort.signal });
    hls.on(Events.MANIFEST_PARSED, () => this.chooseHeight(start.height));
    hls.loadSource(url);
    hls.attachMedia(video);
  }

  get sounds(): readonly string[] {
    return this.separable ? this.hls.audioTracks.map((t) => t.name) : [];
  }

  /** hls.js cannot leave out the sound that is in one file with the picture, as it is in a recording that comes by its root. */
  private get separable(): boolean {
    return this.hls.audioTracks.every((t) => t.url !== "" && t.url !== undefined);
  }

  get sound(): string {
    return this.separable ? (this.hls.audioTracks[this.hls.audioTrack]?.name ?? "") : "";
  }

  chooseSound(name: string): void {
    this.wish = name;
    this.tune();
  }

  /** Plays the sound that is wished for where there is one: before it began, the first. Without any sound hls.js would wait for it. */
  private tune(): void {
    const { hls } = this;
    const tracks = hls.audioTracks;
    if (tracks.length < 2 || !this.separable) return;
    const wished = Math.max(0, tracks.findIndex((t) => t.name === this.wish));
    const begins = tracks[wished]!.details?.fragmentStart ?? 0;
    const to = this.video.currentTime < begins - beginsSlackS && this.video.readyState > 0 ? 0 : wished;
    if (to === hls.audioTrack || !this.ready(tracks[to]!)) return;
    // What is in the buffer is played to its end, so that the change makes no pause.
    if (this.video.readyState > HTMLMediaElement.HAVE_CURRENT_DATA && !this.video.seeking) hls.nextAudioTrack = to;
    else hls.audioTrack = to;
  }

  /**
   * Whether a sound's playlist can be had at once. The node may have to join its track first, and hls.js fetches no more of
   * the old sound once it has been told of another: so the page asks before.
   */
  private ready(track: MediaPlaylist): boolean {
    if (track.details || this.askedFor.get(track.url) === "there") return true;
    if (this.askedFor.has(track.url)) return false;
    this.askedFor.set(track.url, "asked");
    fetch(track.url, { signal: this.abort.signal })
      .then((r) => {
        if (!r.ok) throw new Error(r.statusText);
        this.askedFor.set(track.url, "there");
        this.tune();
      })
      .catch(() => setTimeout(() => this.askedFor.delete(track.url), againMs));
    return false;
  }

  get heights(): readonly number[] {
    return this.hls.levels.map((l) => l.height);
  }

  chooseHeight(height: number): void {
    const { hls } = this;
    const i = height === 0 ? -1 : hls.levels.findIndex((l) => l.height === height);
    if (hls.levels.length > 1 && (i >= 0 || !hls.autoLevelEnabled)) hls.nextLevel = i;
  }

  playhead(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  distance(): { latency: number; target: number } | null {
    // hls.latency is as old as the last timeupdate, and at the start as the last but one position.
    const { latestLevelDetails: details, targetLatency: target } = this.hls;
    if (!details || target === null) return null;
    const latency = details.edge + details.age - this.video.currentTime;
    return latency > 0 ? { latency, target } : null;
  }

  follow(live: boolean): void {
    this.following = live;
    this.hls.config.liveMaxLatencyDuration = live ? maxLatency : noLatencyBound;
    // Read anew for every request.
    this.hls.config.fragLoadPolicy = live ? config.fragLoadPolicy! : patient(config.fragLoadPolicy!);
  }

  get playlist(): string {
    const url = this.hls.latestLevelDetails?.url;
    return url ? new URL(url, location.href).pathname : "";
  }

  at(dateMs: number): number | null {
    const fragments = this.hls.latestLevelDetails?.fragments ?? [];
    for (let i = fragments.length - 1; i >= 0; i--) {
      const f = fragments[i]!;
      // Within it, or in the hole after it.
      if (f.programDateTime !== null && f.programDateTime <= dateMs) return f.start + Math.min((dateMs - f.programDateTime) / 1000, f.duration);
    }
    return fragments[0]?.programDateTime != null ? fragments[0].start : null;
  }

  beginning(): number | null {
    return this.hls.latestLevelDetails?.fragments[0]?.programDateTime ?? null;
  }

  destroy(): void {
    clearTimeout(this.retry);
    this.abort.abort();
    this.hls.destroy();
  }

  private error(data: ErrorData): void {
    // With media ready, or in the first second of play, it is the computer that is late: distance would not cure that.
    if (this.following && data.details === ErrorDetails.BUFFER_STALLED_ERROR && (data.buffer ?? 0) < starvedS && this.playedSeconds() > 1) {
      this.target.stall(performance.now());
      this.hls.targetLatency = this.target.value;
    }
    if (codecErrors.includes(data.details)) {
      this.handler.trouble({ kind: "codec", fatal: data.fatal, detail: data.error?.message ?? data.details });
      return;
    }
    if (data.type === ErrorTypes.NETWORK_ERROR && (data.fatal || this.backoff.attempts > 0)) {
      this.troubled = true;
      this.handler.trouble({ kind: "network", fatal: false, detail: data.details });
    }
    if (!data.fatal) return;
    switch (data.type) {
      case ErrorTypes.NETWORK_ERROR:
        this.retryNetwork(data.details);
        break;
      case ErrorTypes.MEDIA_ERROR:
        this.recoverMedia(data.details);
        break;
      default:
        this.handler.giveUp();
    }
  }

  private playedSeconds(): number {
    const p = this.video.played;
    return p.length > 0 ? p.end(p.length - 1) - p.start(0) : 0;
  }

  private retryNetwork(details: string): void {
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => {
      // Without a manifest there are no levels to start on.
      if (this.hls.levels.length === 0 || details.startsWith("manifest")) this.hls.loadSource(this.url);
      else this.hls.startLoad();
    }, this.backoff.next());
  }

  /** Twice within ten seconds is cured by recovery; more often means that the buffers are beyond help. */
  private recoverMedia(detail: string): void {
    const now = performance.now();
    this.mediaRecoveries = this.mediaRecoveries.filter((t) => now - t < 10_000);
    this.mediaRecoveries.push(now);
    this.troubled = true;
    if (this.mediaRecoveries.length > 2) {
      this.handler.trouble({ kind: "media", fatal: false, detail });
      this.handler.giveUp();
      return;
    }
    this.hls.recoverMediaError();
    void this.video.play().catch(() => undefined);
  }
}
