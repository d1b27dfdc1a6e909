// The right-hand side: delay, what was given, chunks, neighbours.

import { Chart } from "./chart";
import { byId, say, show } from "./dom";
import { address, bytes, giving, millis, rate, seconds, secondsUnit, shortId, whole } from "./format";
import { History } from "./history";
import { Loom } from "./loom";
import { drawRing } from "./ring";
import { type Broadcast, type Peer, type Status, type Stripe, totals } from "./status";
import { renderStore } from "./storage";
import { woven } from "./stripes";

export interface Playback {
  latency: number | null;
  buffered: number;
  started: boolean;
}

export class Swarm {
  private readonly latency = new History();
  private readonly sent = new History();
  private readonly received = new History();
  private readonly delayChart = new Chart(byId("delay-chart"), [{ history: this.latency, name: "latency" }], (top) => `${top} s`, 2);
  private readonly trafficChart = new Chart(
    byId("traffic-chart"),
    [
      { history: this.received, name: "received" },
      { history: this.sent, name: "sent" },
    ],
    rate,
    100_000,
  );
  private readonly loom = new Loom();
  private shownPeers = "";

  /** Call once a second. */
  record(now: number, p: Playback, s: Status | null): void {
    this.latency.add(now, p.started ? p.latency : null);
    this.sent.add(now, s ? s.traffic.sentBps : null);
    this.received.add(now, s ? s.traffic.receivedBps : null);
    this.delayChart.draw(now, `Delay behind the venue, now ${seconds(this.latency.latest)} seconds`);
    this.trafficChart.draw(now, `Passed on ${rate(this.sent.latest ?? 0)}, received ${rate(this.received.latest ?? 0)}`);
  }

  playback(p: Playback): void {
    say(byId("f-latency"), p.latency === null ? "–" : `${seconds(p.latency)}${secondsUnit(p.latency) === "seconds" ? " s" : ""}`);
    say(byId("f-buffer"), p.started ? `${seconds(p.buffered)} s` : "–");
  }

  status(s: Status, b: Broadcast | undefined): void {
    // Nothing is live in a replay.
    show(byId("delay"), s.role !== "replay");
    show(byId("chunks"), s.role !== "replay");
    const delay = b?.tracks.find((t) => t.delay)?.delay ?? null;
    say(byId("f-node"), millis(delay?.p50 ?? null));

    const { sentBytes, receivedBytes, sentBps, receivedBps } = s.traffic;
    const given = byId("given");
    if (given.dataset.sent !== String(sentBytes)) {
      given.dataset.sent = String(sentBytes);
      const amount = document.createElement("strong");
      amount.textContent = bytes(sentBytes);
      const comparison = s.role === "origin" ? "" : ` ${giving(sentBytes, receivedBytes)}`;
      if (sentBytes > 0) given.replaceChildren("You have passed on ", amount, ".", comparison);
      else given.replaceChildren("Nothing has been passed on yet: no neighbour has needed it.");
    }
    say(byId("give-rate"), sentBps > 0 ? `${rate(sentBps)} now` : "");
    say(byId("l-sent"), rate(sentBps));
    say(byId("l-received"), rate(receivedBps));

    this.chunks(s, b);
    const stripes = b?.tracks.find((t) => woven(t.stripes))?.stripes ?? [];
    this.peers(s.peers, stripes);
    this.loom.render(stripes);
    renderStore(s.store);
  }

  private chunks(s: Status, b: Broadcast | undefined): void {
    const c = totals(b);
    const origin = c.received === 0 && c.published > 0;
    say(byId("c-in-name"), origin ? "published" : "received");
    say(byId("c-received"), whole(origin ? c.published : c.received));
    say(byId("c-relayed"), whole(c.relayed));
    say(byId("c-fetched"), whole(c.fetched));
    const missed = byId("c-missed");
    say(missed, whole(c.missed));
    missed.classList.toggle("bad", c.missed > 0);
    const note = c.rejected > 0 ? `${whole(c.rejected)} refused: not signed by the channel` : "¼ second of video each";
    say(byId("chunk-note"), s.broadcasts.length === 0 ? "" : note);
  }

  private peers(peers: readonly Peer[], stripes: readonly Stripe[]): void {
    say(byId("peer-count"), String(peers.length));
    const inMesh = peers.filter((p) => p.mesh).length;
    say(byId("peer-note"), peers.length ? `${inMesh} in the mesh` : "");
    const shown = JSON.stringify([peers, stripes.map((s) => s.parent)]);
    if (shown === this.shownPeers) return;
    this.shownPeers = shown;
    drawRing(byId("ring"), peers, stripes);
    const sorted = [...peers].sort((a, b) => Number(b.mesh) - Number(a.mesh) || (a.rttMs ?? 1e9) - (b.rttMs ?? 1e9) || (a.id < b.id ? -1 : 1));
    const rows = byId("peers");
    const old = new Map([...rows.children].map((r) => [(r as HTMLElement).dataset.id, r as HTMLElement]));
    const wanted = sorted.map((p) => fill(old.get(p.id) ?? row(p.id), p));
    // Rows that keep their place are not touched, so that hovering and scrolling go on.
    if (wanted.length !== rows.children.length || wanted.some((r, i) => rows.children[i] !== r)) rows.replaceChildren(...wanted);
  }
}

function row(id: string): HTMLElement {
  const li = document.createElement("li");
  li.dataset.id = id;
  for (const name of ["who", "rtt", "where", "in", "out"]) {
    const e = document.createElement("span");
    e.className = name;
    li.append(e);
  }
  return li;
}

function fill(li: HTMLElement, p: Peer): HTMLElement {
  const [who, rtt, where, taken, given] = li.children as unknown as HTMLElement[];
  li.classList.toggle("mesh", p.mesh);
  li.title = [p.id, p.addr, p.agent, p.mesh ? "in the mesh" : "known, not in the mesh"].filter(Boolean).join("\n");
  say(who!, shortId(p.id));
  say(rtt!, millis(p.rttMs));
  const how = p.direction === "in" ? "came to us" : p.direction === "out" ? "we called" : "";
  say(where!, [address(p.addr), how].filter(Boolean).join(" · "));
  say(taken!, `↓ ${bytes(p.receivedBytes)}`);
  say(given!, `↑ ${bytes(p.sentBytes)}`);
  return li;
}
