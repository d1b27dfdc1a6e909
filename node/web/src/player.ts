// One video element that plays a broadcast from load to end, whatever happens to the stream.

import { bufferedAhead, beyondHole } from "./clock";
import { type Engine, type Trouble, type Window, createEngine } from "./engine";
import { type Distance, leap, nearS, pace } from "./pace";
import { StallMeter } from "./stalls";

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

/** After the first picture, what is less than this behind is made up for by hurrying. */
const leapS = 1;

/** Leaps after the first picture. Each costs a computer that is slow the decoding from the last keyframe on. */
const maxLeaps = 2;

/** A stream that shows no picture this long after loading is loaded again. */
const startMs = 15_000;

/** Behind the live position by more than this counts as "behind" and shows the way back. */
const behindS = 3;

export class Player {
  readonly stalls = new StallMeter();
  /** Milliseconds from opening the page (or from the broadcast's appearance, if the page had to wait for it) to the first picture. */
  startupMs = 0;
  window: Window | null = null;
  /** Stay close to live; false after a pause or a rewind. */
  following = true;
  /** The browser refused sound without a gesture. */
  soundBlocked = false;
  /** The browser refused to play at all without a gesture. */
  playBlocked = false;

  private engine: Engine | null = null;
  private url = "";
  private loadedAt = 0;
  private wanted = true;
  private builtAt = 0;
  private lastMove = { at: 0, position: -1 };
  private rebuilds = 0;
  private everStarted = false;
  private leaps = 0;

  constructor(
    readonly video: HTMLVideoElement,
    private readonly handler: PlayerHandler,
  ) {
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

  /**
   * @param fromMs performance.now() of the moment from which start-up is counted
   * @param newborn it began a moment ago
   */
  load(url: string, fromMs: number, live: boolean, newborn: boolean): void {
    this.url = url;
    this.loadedAt = fromMs;
    this.startupMs = 0;
    this.rebuilds = 0;
    this.window = null;
    this.wanted = live;
    this.following = live;
    this.build(newborn);
    if (live) this.prime(url);
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
        this.leap(nearS);
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
    if (this.started && this.window && this.atEnd()) video.currentTime = this.window.start;
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
    this.follow(false);
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
    const w = this.window;
    if (!w) return;
    const target = Math.min(Math.max(to, w.start), w.live);
    this.follow(!w.ended && target > w.live - 1);
    this.video.currentTime = target;
  }

  goLive(): void {
    const w = this.window;
    if (!w) return;
    this.follow(true);
    this.video.currentTime = w.live;
    void this.play();
  }

  /** Seconds after the place where a live viewer would be. */
  behind(): number {
    const w = this.window;
    return w && this.started ? Math.max(0, w.live - this.video.currentTime) : 0;
  }

  get isBehind(): boolean {
    return !this.window?.ended && (this.behind() > behindS || (this.video.paused && this.started));
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

  private follow(live: boolean): void {
    this.following = live;
    this.engine?.follow(live);
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
    this.leaps = maxLeaps;
    this.handler.trouble(null);
    this.engine = createEngine(this.video, this.url, {
      trouble: (t) => this.handler.trouble(t),
      recovered: () => this.handler.trouble(null),
      window: (w) => {
        this.window = w;
      },
      giveUp: () => this.rebuild(),
    }, newborn);
    this.engine.follow(this.following);
  }

  /** A new engine on the same broadcast, at live. Waits longer each time, so that a hopeless stream costs little. */
  private rebuild(): void {
    const wait = Math.min(8000, 500 * 2 ** this.rebuilds++);
    const { url } = this;
    this.engine?.destroy();
    this.engine = null;
    setTimeout(() => {
      if (this.url !== url || this.engine) return;
      this.following = true;
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

  private keepPace(): void {
    const d = this.shouldMove() ? this.distance() : null;
    const rate = d ? pace(d, this.video.playbackRate) : 1;
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
    if (!d || this.leaps === 0) return;
    if (d.latency - d.target < nearS) this.leaps = 0;
    else if (this.leap(leapS)) this.leaps--;
  }

  /** Where live is, for a viewer who is to stay close to it. */
  private distance(): Distance | null {
    const d = this.following && !this.window?.ended ? this.engine?.distance() : null;
    return d ? { ...d, buffered: this.buffered() } : null;
  }

  /** Goes forward to the live position, by no less than `least` seconds, as far as there is media. */
  private leap(least: number): boolean {
    const d = this.distance();
    const by = d ? leap(d, least) : 0;
    if (by > 0) this.video.currentTime += by;
    return by > 0;
  }

  private watch(): void {
    const at = performance.now();
    const v = this.video;
    const position = v.currentTime;
    const shouldMove = this.shouldMove();
    this.stalls.sample({ at, position, shouldMove });
    this.keepPace();
    if (this.started && this.atEnd() && !v.paused) {
      if (position !== this.lastMove.position) this.lastMove = { at, position };
      else if (at - this.lastMove.at > 800) {
        v.pause();
        this.handler.ended();
      }
      return;
    }
    // Only where there is something to play: otherwise the engine is rightly waiting.
    if (!this.started && this.wanted && this.engine && this.window && at - this.builtAt > startMs) this.rebuild();
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
    } else if (still > 3 * stuckMs && this.behind() > 2 * behindS) {
      // The playlist goes on without us and the engine does not notice.
      this.rebuild();
    }
  }
}
