// Follows the node's status: one fetch at once, then server-sent events, for ever.

import { Backoff } from "./backoff";
import { type Status, parseStatus } from "./status";

export interface FeedHandler {
  status(s: Status): void;
  /** Whether word from the node came in the last seconds. */
  connected(yes: boolean): void;
}

/** The node writes every second. */
const silentMs = 4000;

const hiddenPollMs = 2000;

export class Feed {
  private source: EventSource | null = null;
  private heard = 0;
  private opened = 0;
  private shown = -Infinity;
  private retry = 0;
  private readonly backoff = new Backoff(500, 5000);

  constructor(private readonly handler: FeedHandler) {}

  start(): void {
    void this.poll();
    this.open();
    // A browser opens six connections to a server over HTTP/1.1, for all tabs together, and a playing
    // tab holds two. A hidden one gives the events' back and asks now and then.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) {
        this.shown = performance.now();
        void this.poll();
        this.open();
      } else {
        this.close();
      }
    });
    setInterval(() => {
      if (document.hidden) void this.poll();
    }, hiddenPollMs);
    setInterval(() => {
      // A hidden page's timers and polls may be minutes apart: it judges nothing.
      if (document.hidden || performance.now() - this.shown < silentMs || performance.now() - this.heard < silentMs) return;
      this.handler.connected(false);
      // A connection can die without an error (sleep, a changed network): start a new one.
      if (this.source && performance.now() - this.opened >= silentMs) this.reopen();
    }, 1000);
  }

  private async poll(): Promise<void> {
    try {
      const r = await fetch("/api/v1/status", { headers: { Accept: "application/json" }, cache: "no-store" });
      if (r.ok) this.take(await r.json());
    } catch {
      // The events' own retry goes on.
    }
  }

  private close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  private open(): void {
    this.close();
    const es = new EventSource("/api/v1/events");
    this.source = es;
    this.opened = performance.now();
    es.addEventListener("status", (e) => {
      this.backoff.reset();
      try {
        this.take(JSON.parse((e as MessageEvent<string>).data));
      } catch {
        // One garbled event is worth nothing; the next comes in a second.
      }
    });
    es.onerror = () => {
      // The browser retries dropped connections itself, but gives up on an HTTP error.
      if (es.readyState === EventSource.CLOSED) this.reopen();
    };
  }

  private reopen(): void {
    this.close();
    if (document.hidden) return;
    this.retry = window.setTimeout(() => this.open(), this.backoff.next());
  }

  private take(raw: unknown): void {
    this.heard = performance.now();
    this.handler.connected(true);
    this.handler.status(parseStatus(raw));
  }
}
