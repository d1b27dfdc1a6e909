// The page of a Murmuration node: follows the node's status, plays what is on, shows how it fares.

import { type Asked, Pulse, type ViewState, asked, decide, newborn, onAir, pick, quietAfterMs, viewState } from "./broadcast";
import { dateLine, lengthOf, nameOf } from "./catalogue";
import { NodeClock, clocksDisagree, latencySeconds } from "./clock";
import { Controls } from "./controls";
import { byId, say, show } from "./dom";
import { type Trouble, canPlay } from "./engine";
import { Feed } from "./feed";
import { Flock } from "./flock";
import { Gallery } from "./gallery";
import { seconds, secondsUnit, shortId, span } from "./format";
import { Menus } from "./menus";
import { Player } from "./player";
import { hashOf, parseRoute } from "./route";
import { initShare, renderShare } from "./share";
import { type Broadcast, type Recording, type Status, restarted } from "./status";
import { Swarm } from "./swarm";
import { advice, sinceLine, stateWord, veil } from "./words";

/** What the page knows, for end-to-end tests: read-only. */
export interface Murmur {
  /** Seconds from capture to the picture on screen; NaN while unknown. */
  latency(): number;
  /** Seconds of media ready after the playhead. */
  buffered(): number;
  readonly stalls: number;
  readonly stalledMs: number;
  readonly state: ViewState;
  /** 0 until the first picture. */
  readonly startupMs: number;
  /** The video element's currentTime, seconds. */
  readonly videoTime: number;
  /** Capture time of the picture on screen, milliseconds since 1970; NaN while unknown. */
  readonly playhead: number;
  readonly broadcast: string;
  readonly engine: string;
  /** Name of the sound that plays. */
  readonly sound: string;
}

declare global {
  interface Window {
    readonly murmur: Murmur;
  }
}

const clock = new NodeClock();
const pulse = new Pulse();
const swarm = new Swarm();
const gallery = new Gallery();
const flock = new Flock(byId<HTMLCanvasElement>("flock"));
const stage = byId("stage");

let status: Status | null = null;
let connected = false;
let state: ViewState = "connecting";
/** Id of the broadcast that is loaded, live or recorded; "" while none is. */
let current = "";
/** What is loaded is a recording. */
let recorded = false;
let route = parseRoute(location.hash);
let wish: Asked = { what: "live" };
let offered: Broadcast | null = null;
let trouble: Trouble | null = null;
let quietMs = 0;
let finished = false;
let adviceTitle = "";
let adviceSince = 0;
/** Nothing has been loaded yet, and there was something to load when the page was opened. */
let fresh = true;

const player = new Player(byId<HTMLVideoElement>("video"), {
  changed() {
    // He went back in it after all.
    if (finished && !player.atEnd()) finished = false;
    render();
  },
  trouble(t) {
    trouble = t;
    render();
  },
  ended() {
    finished = true;
    if (status) follow(status);
    render();
  },
});
const controls = new Controls(player);
const menus = new Menus(player);

const latency = (): number | null => latencySeconds(clock.now(Date.now()), player.playhead());

/** Whether there is still something of the loaded broadcast to see. */
function busy(): boolean {
  return player.started && !finished && !(player.stalls.stalled && player.buffered() < 0.3);
}

/** Start-up counts from opening the page, unless there was nothing to play yet. */
function begin(id: string, isRecorded: boolean): number {
  const from = fresh ? 0 : performance.now();
  fresh = false;
  current = id;
  recorded = isRecorded;
  offered = null;
  trouble = null;
  finished = false;
  return from;
}

function load(b: Broadcast): void {
  const fromMs = begin(b.id, false);
  player.load({ url: b.playlist, fromMs, live: b.state !== "ended", newborn: newborn(b, clock.now(Date.now())) });
}

function loadRecording(r: Recording): void {
  const fromMs = begin(r.broadcast, true);
  player.load({ url: r.url, fromMs, live: r.state === "live", autoplay: true });
}

function unload(): void {
  if (current === "") return;
  begin("", false);
  player.unload();
}

function follow(s: Status): void {
  wish = asked(s, route);
  switch (wish.what) {
    case "recording":
      if (!recorded || current !== wish.recording.broadcast) loadRecording(wish.recording);
      offered = null;
      return;
    case "locked":
      unload();
      offered = null;
      fresh = false;
      return;
    case "unknown":
      if (current !== (route.show === "recording" ? route.broadcast : "")) unload();
      offered = null;
      fresh = false;
      return;
    case "broadcast":
      // What it is called after it has ended is the live page's business.
      history.replaceState(null, "", hashOf({ show: "live" }));
      route = { show: "live" };
      if (recorded || current !== wish.broadcast.id) load(wish.broadcast);
      wish = { what: "live" };
      break;
    case "live":
      if (recorded) unload();
  }
  const d = decide(s, current, busy(), quietMs > quietAfterMs);
  if (d.action === "load") load(d.broadcast);
  offered = d.action === "offer" ? d.broadcast : null;
  if (current === "") fresh = false;
  const on = s.broadcasts.find((b) => b.id === current);
  const track = on?.tracks.find((t) => t.playlist !== "");
  if (on && track) player.tell(track.playlist, on.started, on.tracks);
}

addEventListener("hashchange", () => {
  route = parseRoute(location.hash);
  if (status) {
    follow(status);
    renderStatus(status);
  }
  render();
  byId("stage").scrollIntoView({ block: "nearest" });
  // Off the card: the player's keys work again, and screen readers say what is shown now.
  byId("title").focus({ preventScroll: true });
});

function render(): void {
  const b = status?.broadcasts.find((x) => x.id === current);
  const here = performance.now();
  quietMs = b ? pulse.quiet(b, here) : 0;
  state = viewState({ connected, status, current, quietMs, asked: wish.what });
  const recording = wish.what === "recording" || wish.what === "locked" ? wish.recording : null;

  const title = (recording ? nameOf(recording) : b?.title) || status?.title || "Murmuration";
  say(byId("title"), title);
  say(byId("state"), stateWord[state]);
  byId("chip").dataset.state = state;
  document.title = `${state === "live" ? "● " : ""}${title}${title === "Murmuration" ? "" : " · Murmuration"}`;
  const facts = recording ? [dateLine(recording.started), lengthOf(recording)].filter(Boolean).join(" · ") : "";
  say(byId("since"), recording ? facts : sinceLine(state, b?.started ?? null, quietMs, clock.now(Date.now())));
  show(byId("back"), wish.what !== "live" && onAir(status) !== undefined);

  const l = latency();
  const wrong = clocksDisagree(l);
  const shown = wrong ? null : l;
  const live = player.started && shown !== null && state !== "ended" && wish.what === "live";
  show(byId("now"), live);
  say(byId("now-latency"), seconds(shown));
  say(byId("now-unit"), secondsUnit(shown));
  const playback = { latency: live ? shown : null, buffered: player.buffered(), started: player.started };
  swarm.playback(playback);

  renderStage();
  renderTrouble(here, wrong);
  controls.render();
  menus.render();
}

function renderStage(): void {
  // The picture stays as long as there is one to play, even when the venue is gone or the node is.
  const dry = player.buffered() < 0.1 && (state === "interrupted" || state === "offline");
  const idle = !player.started || finished || (dry && player.stalls.stalled);
  const playing = state === "live" || state === "recording";
  const v = veil(idle && state === "live" ? "connecting" : state, status);
  stage.dataset.view = state;
  const veiled = idle && !(player.started && player.video.seeking);
  stage.dataset.veiled = String(veiled);
  const starting = playing && !player.started;
  say(byId("veil-title"), player.playBlocked ? "Ready" : starting ? "Starting" : v.title);
  say(byId("veil-text"), player.playBlocked || starting ? "" : v.text);
  const over = state === "ended" || state === "recording";
  const rewatch = over && player.loaded && (finished || (state === "ended" && !player.started));
  show(byId("big-play"), player.playBlocked || rewatch);
  say(byId("big-play"), finished ? "Play again" : "Play");
  show(byId("to-recordings"), (over || state === "unknown") && !starting && (status?.recordings.length ?? 0) > 0);
  show(byId("spinner"), player.started && !veiled && (player.stalls.stalled || (!player.following && player.buffered() < 0.1 && !player.video.paused)) && playing);
  stage.dataset.picture = String(player.hasPicture && player.started);
  flock.run(veiled || (player.started && !player.hasPicture));
}

function renderTrouble(here: number, wrongClocks: boolean): void {
  const box = byId("trouble");
  const action = byId<HTMLButtonElement>("trouble-action");
  if (offered) {
    say(byId("trouble-title"), "The next broadcast has begun.");
    say(byId("trouble-text"), offered.title);
    say(action, "Watch it");
    box.dataset.kind = "offer";
    show(action, true);
    show(box, true);
    return;
  }
  const a = advice(state, status, trouble, wrongClocks, canPlay(player.video));
  const title = a?.title ?? "";
  if (title !== adviceTitle) {
    adviceTitle = title;
    adviceSince = here;
  }
  show(action, false);
  box.dataset.kind = "trouble";
  const due = a !== null && here - adviceSince >= a.afterMs;
  if (due) {
    say(byId("trouble-title"), a.title);
    say(byId("trouble-text"), a.text);
  }
  show(box, due);
}

function renderStatus(s: Status): void {
  // Beside a recording stands what is on.
  swarm.status(s, s.broadcasts.find((b) => b.id === current) ?? pick(s));
  gallery.render(s.recordings, wish.what === "recording" ? wish.recording.broadcast : "");
  renderShare(s.link);
  say(byId("node"), [s.role, shortId(s.peerId)].filter(Boolean).join(" · "));
  byId("node").title = s.peerId;
  say(byId("about"), `murmur ${s.version}, up ${span(s.uptimeS)}${s.channel ? `, channel ${shortId(s.channel)}` : ""}`);
}

byId("to-recordings").addEventListener("click", () => {
  byId("recordings").scrollIntoView({ block: "start" });
  byId("recordings-title").focus({ preventScroll: true });
});

byId("trouble-action").addEventListener("click", () => {
  if (offered) load(offered);
  render();
});

new Feed({
  status(s) {
    if (restarted(status, s) && !finished) player.reload();
    status = s;
    if (s.now !== null) clock.observe(s.now, Date.now());
    follow(s);
    renderStatus(s);
    render();
  },
  connected(yes) {
    if (connected === yes) return;
    connected = yes;
    render();
  },
}).start();

initShare();
render();
setInterval(render, 250);
setInterval(() => {
  const l = latency();
  swarm.record(performance.now(), { latency: clocksDisagree(l) || finished || !player.following ? null : l, buffered: player.buffered(), started: player.started }, connected ? status : null);
}, 1000);

const murmur: Murmur = Object.freeze({
  latency: () => latency() ?? NaN,
  buffered: () => player.buffered(),
  get stalls() {
    return player.stalls.count;
  },
  get stalledMs() {
    return Math.round(player.stalls.total);
  },
  get state() {
    return state;
  },
  get startupMs() {
    return Math.round(player.startupMs);
  },
  get videoTime() {
    return player.video.currentTime;
  },
  get playhead() {
    return player.playhead() ?? NaN;
  },
  get broadcast() {
    return current;
  },
  get engine() {
    return player.engineName;
  },
  get sound() {
    return player.sound;
  },
});
Object.defineProperty(window, "murmur", { value: murmur });
