// The browser's own HLS player as an engine.

import { Backoff } from "./backoff";
import type { Engine, EngineHandler, Start } from "./engine";

/** getStartDate is Safari's: the date of the video's time zero, from PROGRAM-DATE-TIME. */
type Dated = HTMLVideoElement & { getStartDate?: () => Date };

export class NativeEngine implements Engine {
  readonly name = "native";
  private readonly abort = new AbortController();
  private readonly backoff = new Backoff();
  private retry = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    url: string,
    handler: EngineHandler,
    start: Start,
  ) {
    const { signal } = this.abort;
    const report = () => {
      const s = video.seekable;
      if (s.length === 0) return;
      const edge = s.end(s.length - 1);
      handler.window({ start: s.start(0), edge, live: edge, ended: Number.isFinite(video.duration) });
    };
    for (const e of ["progress", "timeupdate", "durationchange"]) video.addEventListener(e, report, { signal });
    video.addEventListener(
      "playing",
      () => {
        this.backoff.reset();
        handler.recovered();
      },
      { signal },
    );
    const { position } = start;
    if (position !== null) video.addEventListener("loadedmetadata", () => (video.currentTime = position), { signal, once: true });
    video.addEventListener(
      "error",
      () => {
        const code = video.error?.code;
        const codec = code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED && this.backoff.attempts > 3;
        handler.trouble({ kind: codec ? "codec" : "network", fatal: codec, detail: video.error?.message ?? "" });
        clearTimeout(this.retry);
        this.retry = window.setTimeout(() => {
          video.src = url;
          video.load();
          void video.play().catch(() => undefined);
        }, this.backoff.next());
      },
      { signal },
    );
    video.src = url;
  }

  playhead(): number | null {
    const zero = this.zero();
    return zero === null ? null : zero + this.video.currentTime * 1000;
  }

  readonly playlist = "";

  at(dateMs: number): number | null {
    const zero = this.zero();
    return zero === null ? null : (dateMs - zero) / 1000;
  }

  beginning(): number | null {
    const zero = this.zero();
    return zero === null || this.video.seekable.length === 0 ? null : zero + this.video.seekable.start(0) * 1000;
  }

  private zero(): number | null {
    const date = (this.video as Dated).getStartDate?.().getTime();
    return date !== undefined && Number.isFinite(date) ? date : null;
  }

  // The browser's own player has menus of its own.
  readonly sounds: readonly string[] = [];
  readonly sound = "";
  readonly heights: readonly number[] = [];

  chooseSound(): void {}

  chooseHeight(): void {}

  // The browser's own player keeps its own distance from live.
  distance(): null {
    return null;
  }

  follow(): void {}

  destroy(): void {
    clearTimeout(this.retry);
    this.abort.abort();
    this.video.removeAttribute("src");
    this.video.load();
  }
}
