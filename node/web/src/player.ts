// One video element that plays a broadcast from load to end, whatever happens to the stream.

import { type Choice, Wishes, original, qualities, sounds, whole } from "./choice";
import { bufferedAhead, beyondHole } from "./clock";
import { Dvr, type Standing, type Window, edition, standing } from "./dvr";
import { type Engine, type Trouble, createEngine } from "./engine";
import type { Distance } from "./pace";
import { Pacer } from "./pacer";
import { StallMeter } from "./stalls";
import type { Track } from "./status";

export interface PlayerHandler {
  /** Something to show changed: playing, paused, muted, window. */
  changed(): void;
  trouble(t: Trouble | null): void;
  ended(): void;
}

/** A playhead that stands still this long, while the stream goes on, is helped; after three times this, replaced. */
const stuckMs = 2500;

/** Seconds of media to have before playing, and how long to wait for them at most. */
const primeS = 0.9;
const primeMs = 2500;

/** A stream that shows no picture this long after loading is loaded again. */
const startMs = 15_000;

/** Whoever is not at live may have to wait longer for what has to be fetched, and more haste would begin the fetching anew. */
const patienceMs = 60_000;

/** A live viewer who stands still this far behind is brought back by a new engine. */
const lostS = 6;

/** What to play. */
export interface Item {
  /** Path of the multivariant playlist. */
  url: string;
  /** performance.now() of the moment from which start-up is counted. */
  fromMs: number;
  /** It is on: play at live, at once. */
  live: boolean;
  /** It began a moment ago. */
  newborn?: boolean;
  /** Play at once although it is over. */
  autoplay?: boolean;
}

/** A place in a broadcast that outlives the engine that was there. */
interface Place {
  position: number;
  /** Capture time, milliseconds since 1970: the same place where a playlist begins elsewhere. */
  date: number | null;
}

export class Player {
  readonly stalls = new StallMeter();
  /** Milliseconds from opening the page (or from the broadcast's appearance, if the page had to wait for it) to the first picture. */
  startupMs = 0;
  window: Window | null = null;
  /** The browser refused sound without a gesture. */
  soundBlocked = false;
  /** The browser refused to play at all without a gesture. */
  playBlocked = false;

  private readonly dvr = new Dvr();
  private readonly pacer: Pacer;
  private engine: Engine | null = null;
  private resume: Place | null = null;
  private offered = { playlist: "", started: null as number | null };
  private tracks: readonly Track[] = [];
  private readonly wishes = new Wishes();
  private url = "";
  private loadedAt = 0;
  private wanted = true;
  private builtAt = 0;
  private lastMove = { at: 0, position: -1 };
  private rebuilds = 0;
  private everStarted = false;

  constructor(
    readonly video: HTMLVideoElement,
    private readonly handler: PlayerHandler,
  ) {
    this.pacer = new Pacer(video, () => this.distance());
    video.addEventListener("playing", () => {
      this.firstPicture();
      handler.changed();
    });
    video.addEventListener("waiting", () => {
      if (this.shouldMove()) this.stalls.waiting(performance.now());
      handler.changed();
    });
    video.addEventListener("seeking", () => this.stalls.excuse(performance.now()));
    video.addEventListener("ended", () => {
      this.stalls.excuse(performance.now());
      handler.ended();
    });
    for (const e of ["play", "pause", "volumechange", "seeked", "loadedmetadata", "resize"]) video.addEventListener(e, () => handler.changed());
    setInterval(() => this.watch(), 100);
  }

  get loaded(): boolean {
    return this.engine !== null;
  }

  get engineName(): string {
    return this.engine?.name ?? "";
  }

  get started(): boolean {
    return this.startupMs > 0;
  }

  load(item: Item): void {
    this.url = item.url;
    this.loadedAt = item.fromMs;
    this.startupMs = 0;
    this.rebuilds = 0;
    this.window = null;
    this.resume = null;
    this.offered = { playlist: "", started: null };
    this.tracks = [];
    this.wanted = item.live || item.autoplay === true;
    this.dvr.load(item.live);
    this.build(item.newborn);
    if (this.wanted) this.prime(item.url);
  }

  /** Nothing is to be played any more. */
  unload(): void {
    this.url = "";
    this.startupMs = 0;
    this.window = null;
    this.wanted = false;
    this.stalls.excuse(performance.now());
    this.engine?.destroy();
    this.engine = null;
    this.handler.trouble(null);
  }

  /** What the newest status says of the tracks: where the first one's playlist is, and when it began. */
  tell(playlist: string, started: number | null, tracks: readonly Track[]): void {
    this.offered = { playlist, started };
    this.tracks = tracks;
    // What he listened to the last time has begun since.
    const { engine, wishes } = this;
    if (engine && this.started && !this.resume && wishes.sound !== "" && this.lacks(wishes.sound)) this.renew();
  }

  get sounds(): Choice[] {
    return this.engine?.name === "native" ? [] : sounds(this.engine?.sounds ?? [], this.tracks);
  }

  /** The sound that plays. */
  get sound(): string {
    return this.engine?.sound || original;
  }

  chooseSound(name: string): void {
    this.wishes.sound = name;
    if (this.lacks(name)) this.renew();
    else this.engine?.chooseSound(name);
    this.handler.changed();
  }

  get qualities(): Choice[] {
    return qualities(this.engine?.heights ?? []);
  }

  get quality(): string {
    const { quality } = this.wishes;
    return this.qualities.some((q) => q.id === quality) ? quality : "";
  }

  chooseQuality(id: string): void {
    this.wishes.quality = id;
    this.engine?.chooseHeight(Number(id));
    this.handler.changed();
  }

  /** Whether a sound that is on is none of the engine's: it began after the engine did. */
  private lacks(name: string): boolean {
    const has = this.engine?.sounds ?? [];
    return !has.includes(name) && this.sounds.some((c) => c.id === name);
  }

  /** A new engine for the same place, which knows what has begun since. */
  private renew(): void {
    if (!this.dvr.following && this.started) this.resume = { position: this.video.currentTime, date: this.playhead() };
    this.build();
    if (this.wanted) {
      this.video.pause();
      this.prime(this.url);
    }
  }

  /** What can be watched, with what a new engine could reach. */
  get reach(): Window | null {
    const w = this.window;
    const missing = w && edition(whole(this.engine?.playlist ?? ""), this.offered.playlist, this.engine?.beginning() ?? null, this.offered.started);
    return missing ? { ...w, start: w.start - missing.seconds } : w;
  }

  get standing(): Standing {
    const { video } = this;
    return standing(this.reach, { position: video.currentTime, following: this.dvr.following, paused: video.paused, started: this.started });
  }

  get following(): boolean {
    return this.dvr.following;
  }

  /**
   * Plays once enough is ready not to stall at once: a broadcast that has only just begun has less than
   * the distance from live that the player keeps.
   */
  private prime(url: string): void {
    const since = performance.now();
    const look = () => {
      if (this.url !== url || !this.wanted || !this.video.paused) return;
      const first = this.ranges()[0];
      const ready = first !== undefined && first[1] - Math.max(first[0], this.video.currentTime) >= primeS;
      if (ready || this.engine?.name === "native" || performance.now() - since > primeMs) {
        this.pacer.start();
        void this.play();
      } else setTimeout(look, 20);
    };
    look();
  }

  /** The same broadcast from a server that knows nothing of before. */
  reload(): void {
    if (!this.engine) return;
    this.rebuilds = 0;
    this.rebuild();
  }

  async play(): Promise<void> {
    const { video } = this;
    this.wanted = true;
    this.playBlocked = false;
    if (this.started && this.window && this.atEnd()) this.seek(-Infinity);
    try {
      await video.play();
    } catch (e) {
      if (!(e instanceof DOMException) || e.name !== "NotAllowedError") return;
      if (video.muted) {
        this.playBlocked = true;
        this.wanted = false;
      } else {
        video.muted = true;
        this.soundBlocked = true;
        await this.play();
      }
    }
    this.handler.changed();
  }

  /** The viewer's pause: from now on he is not taken along with live. */
  pause(): void {
    this.wanted = false;
    this.dvr.pause();
    this.follow();
    this.video.pause();
  }

  toggle(): void {
    if (this.video.paused) void this.play();
    else this.pause();
  }

  unmute(): void {
    this.soundBlocked = false;
    this.video.muted = false;
    if (this.video.volume === 0) this.video.volume = 1;
  }

  seek(to: number): void {
    const w = this.reach;
    if (!w || !this.window) return;
    const target = this.dvr.seek(to, w);
    this.follow();
    if (target < this.window.start) this.reopen(target - w.start, target);
    else this.video.currentTime = target;
  }

  goLive(): void {
    const w = this.window;
    if (!w) return;
    this.video.currentTime = this.dvr.live(w);
    this.follow();
    void this.play();
  }

  /** Seconds after the place where a live viewer would be. */
  private behind(): number {
    const w = this.window;
    return w && this.started ? Math.max(0, w.live - this.video.currentTime) : 0;
  }

  /** Milliseconds since 1970. */
  playhead(): number | null {
    return this.started ? (this.engine?.playhead() ?? null) : null;
  }

  buffered(): number {
    return bufferedAhead(this.ranges(), this.video.currentTime);
  }

  get hasPicture(): boolean {
    return this.video.videoWidth > 0;
  }

  private follow(): void {
    this.engine?.follow(this.dvr.following);
  }

  /**
   * A new engine for the playlist that reaches further back.
   * @param position in its own time
   * @param old the same in the time of the engine that is left
   */
  private reopen(position: number, old: number): void {
    const from = this.engine?.beginning() ?? null;
    this.resume = { position, date: from === null || !this.window ? null : from - (this.window.start - old) * 1000 };
    this.window = null;
    this.build();
    if (this.wanted) this.prime(this.url);
  }

  private ranges(): [number, number][] {
    const b = this.video.buffered;
    return Array.from({ length: b.length }, (_, i) => [b.start(i), b.end(i)]);
  }

  private build(newborn = false): void {
    this.stalls.excuse(performance.now());
    this.engine?.destroy();
    this.builtAt = performance.now();
    this.lastMove = { at: this.builtAt, position: -1 };
    this.pacer.reset();
    this.handler.trouble(null);
    this.engine = createEngine(this.video, this.url, {
      trouble: (t) => this.handler.trouble(t),
      recovered: () => this.handler.trouble(null),
      window: (w) => {
        this.window = w;
        this.dvr.window(w);
      },
      giveUp: () => this.rebuild(),
    }, { newborn, position: this.resume?.position ?? null, follow: this.dvr.following, sound: this.wishes.sound, height: Number(this.wishes.quality) });
  }

  /** A new engine on the same broadcast, at live or where the viewer was. Waits longer each time, so that a hopeless stream costs little. */
  private rebuild(): void {
    const wait = Math.min(8000, 500 * 2 ** this.rebuilds++);
    const { url } = this;
    if (this.dvr.following || !this.started) this.resume = null;
    else this.resume ??= { position: this.video.currentTime, date: this.playhead() };
    this.engine?.destroy();
    this.engine = null;
    setTimeout(() => {
      if (this.url !== url || this.engine) return;
      this.build();
      if (this.wanted) this.prime(url);
    }, wait);
  }

  private firstPicture(): void {
    if (this.startupMs > 0) return;
    const begun = () => {
      if (this.startupMs > 0) return;
      this.startupMs = performance.now() - this.loadedAt;
      this.everStarted = true;
      this.stalls.begin();
      this.handler.changed();
    };
    // `playing` comes before the picture is on screen; the frame callback comes with it.
    if (this.hasPicture && "requestVideoFrameCallback" in this.video && !document.hidden) this.video.requestVideoFrameCallback(begun);
    else begun();
  }

  /**
   * At the end of a broadcast that has ended. The element's own `ended` is not enough: sound and picture
   * seldom end at the same instant, and then it may never come.
   */
  atEnd(): boolean {
    const w = this.window;
    if (!w?.ended) return false;
    const left = w.edge - this.video.currentTime;
    return left < 0.3 || (left < 2.5 && this.buffered() < 0.15);
  }

  private shouldMove(): boolean {
    const v = this.video;
    return this.everStarted && this.started && !v.paused && !v.seeking && !v.ended && v.readyState > 0 && !this.atEnd();
  }

  /** Where live is, for a viewer who is to stay close to it. */
  private distance(): Distance | null {
    const d = this.dvr.following && !this.window?.ended ? this.engine?.distance() : null;
    return d ? { ...d, buffered: this.buffered() } : null;
  }

  private watch(): void {
    const at = performance.now();
    const v = this.video;
    const position = v.currentTime;
    const shouldMove = this.shouldMove();
    this.stalls.sample({ at, position, shouldMove });
    this.pacer.keep(shouldMove);
    this.arrive();
    if (this.started && this.atEnd() && !v.paused) {
      if (position !== this.lastMove.position) this.lastMove = { at, position };
      else if (at - this.lastMove.at > 800) {
        v.pause();
        this.handler.ended();
      }
      return;
    }
    // Only where there is something to play: otherwise the engine is rightly waiting.
    if (!this.started && this.wanted && this.engine && this.window && at - this.builtAt > (this.dvr.following ? startMs : patienceMs)) this.rebuild();
    if (!shouldMove || position !== this.lastMove.position) {
      if (shouldMove && at - this.lastMove.at < 1000) this.rebuilds = 0;
      this.lastMove = { at, position };
      return;
    }
    const still = at - this.lastMove.at;
    if (still < stuckMs) return;
    const over = beyondHole(this.ranges(), position, 10);
    if (over !== null) {
      v.currentTime = over + 0.01;
    } else if (this.dvr.following ? still > 3 * stuckMs && this.behind() > lostS : still > patienceMs) {
      // The playlist goes on without us and the engine does not notice.
      this.rebuild();
    }
  }

  /** Once a new engine knows its playlist: the place to resume at, by its date. */
  private arrive(): void {
    const { resume, engine, video, window } = this;
    if (!resume || !engine || !window || video.readyState === 0) return;
    this.resume = null;
    const to = resume.date === null ? null : engine.at(resume.date);
    if (to !== null && Math.abs(to - video.currentTime) > 1.5 && !this.dvr.following) video.currentTime = Math.min(Math.max(to, window.start), window.live);
  }
}
