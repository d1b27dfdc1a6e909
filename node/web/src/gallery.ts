// The channel's recordings as cards. A card is a link: its address can be shared, and the browser's own way back works.

import { factsLine, holdersLine, lengthOf, nameOf, newestFirst, playWords, infoOf, posterKind, showing, stateLine } from "./catalogue";
import { copyFrom } from "./copy";
import { byId, say, show } from "./dom";
import { span, bytes } from "./format";
import { Queue } from "./queue";
import { hashOf } from "./route";
import type { Recording } from "./status";

const box = byId("recordings");
const list = byId("recording-list");

/** So far outside of the window a poster is loaded already. */
const ahead = "400px";

/** A poster that has not come by then may never come; others have their turn. */
const posterMs = 20_000;

export class Gallery {
  private shown = "";
  private readonly cards = new Map<string, Card>();
  private readonly queue = new Queue();
  private readonly nearby = new IntersectionObserver(
    (seen) => {
      for (const e of seen) {
        if (!e.isIntersecting) continue;
        this.nearby.unobserve(e.target);
        this.cards.get((e.target as HTMLElement).dataset.id ?? "")?.unveil(this.queue);
      }
    },
    { rootMargin: ahead },
  );

  /** @param playing broadcast of the recording that is being watched, "" where none is */
  render(recordings: readonly Recording[], playing: string): void {
    const shown = JSON.stringify([recordings, playing]);
    if (shown === this.shown) return;
    this.shown = shown;
    show(box, recordings.length > 0);
    say(byId("recording-count"), String(recordings.length));
    const length = recordings.reduce((sum, r) => sum + r.durationS, 0);
    const size = recordings.reduce((sum, r) => sum + r.bytes, 0);
    say(byId("recording-note"), [length > 0 ? span(length) : "", size > 0 ? bytes(size) : ""].filter(Boolean).join(", "));
    const wanted = newestFirst(recordings).map((r) => {
      const card = this.cards.get(r.broadcast) ?? new Card(r.broadcast);
      this.cards.set(r.broadcast, card);
      if (card.fill(r, r.broadcast === playing)) this.nearby.observe(card.element);
      return card.element;
    });
    // Cards that keep their place are not touched, so that focus and loaded posters stay.
    if (wanted.length !== list.children.length || wanted.some((e, i) => list.children[i] !== e)) list.replaceChildren(...wanted);
    for (const [id, card] of this.cards) {
      if (wanted.includes(card.element)) continue;
      this.nearby.unobserve(card.element);
      this.cards.delete(id);
    }
  }
}

function part<K extends keyof HTMLElementTagNameMap>(parent: Element, tag: K, name: string): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  e.className = name;
  parent.append(e);
  return e;
}

class Card {
  readonly element = document.createElement("li");
  private readonly play = part(this.element, "a", "recording");
  private readonly poster = part(this.play, "span", "poster");
  private readonly length = part(this.poster, "span", "length");
  private readonly name = part(this.play, "span", "name");
  private readonly facts = part(this.element, "p", "facts");
  private readonly state = part(this.element, "p", "keeping");
  private readonly holders = part(this.element, "p", "facts");
  private readonly root = part(this.element, "p", "root");
  private readonly cid = part(this.root, "code", "cid");
  private readonly copy = part(this.root, "button", "quiet");
  private path = "";

  constructor(broadcast: string) {
    this.element.dataset.id = broadcast;
    this.play.href = hashOf({ show: "recording", broadcast });
    this.copy.type = "button";
    say(this.copy, "Copy CID");
    copyFrom(this.copy, () => ({ text: this.cid.textContent ?? "", element: this.cid }));
  }

  /** Returns whether there is a poster that was not known before. */
  fill(r: Recording, playing: boolean): boolean {
    this.play.setAttribute("aria-label", playWords(r));
    if (playing) this.play.setAttribute("aria-current", "true");
    else this.play.removeAttribute("aria-current");
    say(this.length, lengthOf(r));
    say(this.name, nameOf(r));
    say(this.facts, factsLine(r));
    say(this.state, stateLine(r));
    this.state.dataset.state = r.missing > 0 && r.state !== "live" ? "partial" : r.state;
    say(this.holders, holdersLine(r));
    show(this.root, r.root !== "");
    say(this.cid, r.root);
    this.cid.title = r.root;
    this.copy.setAttribute("aria-label", `Copy the CID of ${nameOf(r)}`);
    if (r.poster === this.path || posterKind(r.poster) === "none") return false;
    this.path = r.poster;
    return true;
  }

  /** Loads the poster, where there is one. Else the placeholder stays that the style sheet draws. */
  unveil(queue: Queue): void {
    queue.add(() => this.load(this.path));
  }

  private async load(path: string): Promise<void> {
    const info: unknown = await fetch(infoOf(path), { signal: AbortSignal.timeout(posterMs) })
      .then((r) => (r.ok ? r.json() : null))
      .catch(() => null);
    const what = showing(info, path);
    this.poster.dataset.shows = what;
    if (what === "poster") await this.picture(path);
  }

  private picture(path: string): Promise<void> {
    return new Promise((done) => {
      const film = posterKind(path) === "film";
      const e = document.createElement(film ? "video" : "img");
      const end = (ok: boolean) => {
        clearTimeout(timer);
        if (ok) e.dataset.ready = "true";
        else {
          e.removeAttribute("src");
          e.remove();
        }
        done();
      };
      const timer = setTimeout(() => end(false), posterMs);
      e.addEventListener(film ? "loadeddata" : "load", () => end(true), { once: true });
      e.addEventListener("error", () => end(false), { once: true });
      e.setAttribute("aria-hidden", "true");
      if (e instanceof HTMLVideoElement) {
        e.muted = true;
        e.playsInline = true;
        e.preload = "metadata";
        e.disablePictureInPicture = true;
        e.tabIndex = -1;
      } else {
        e.alt = "";
      }
      e.src = path;
      this.poster.querySelector("video, img")?.remove();
      this.poster.prepend(e);
    });
  }
}
