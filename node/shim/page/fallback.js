// The plain page: the browser's own HLS player and the node's counts, once a second.
"use strict";

(() => {
  const el = (id) => document.getElementById(id);
  const video = el("video");
  const source = "/live.m3u8";
  let playing = "";
  let retry = 0;
  let wait = 1000;
  let moved = 0;
  let position = -1;

  const say = (id, text) => {
    if (el(id).textContent !== text) el(id).textContent = text;
  };

  const bytes = (n) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let i = 0;
    while (n >= 1000 && i < units.length - 1) {
      n /= 1000;
      i++;
    }
    return `${n.toFixed(i && n < 10 ? 1 : 0)} ${units[i]}`;
  };

  function load() {
    clearTimeout(retry);
    moved = Date.now();
    video.src = source;
    video.play().catch(() => {});
  }

  video.addEventListener("playing", () => {
    wait = 1000;
  });
  video.addEventListener("error", () => {
    if (!playing) return;
    clearTimeout(retry);
    retry = setTimeout(load, wait);
    wait = Math.min(8000, wait * 2);
  });

  /** What is on: live before interrupted before ended, of those the newest; ids sort by start time. */
  function pick(broadcasts) {
    const rank = { live: 2, waiting: 1, ended: 0 };
    return broadcasts
      .filter((b) => (b.tracks || []).length > 0 && !b.locked)
      .sort((a, b) => rank[b.state] - rank[a.state] || (a.id < b.id ? 1 : -1))[0];
  }

  function show(s) {
    const b = pick(s.broadcasts || []);
    say("title", (b && b.title) || s.title || "Murmuration");
    const states = { live: "Live", waiting: "Interrupted", ended: "Ended" };
    say("state", b ? states[b.state] || b.state : "Waiting for the broadcast");
    const locked = !b && (s.broadcasts || []).find((x) => x.locked && x.state !== "ended");
    say("help", locked ? `${locked.title} is ${locked.locked}.` : !b ? "It begins here by itself." : b.state === "waiting" ? "The picture returns by itself." : "");
    const sum = (name) => (b ? b.tracks.reduce((n, t) => n + ((t.chunks || {})[name] || 0), 0) : 0);
    say("received", String(sum("received") || sum("published")));
    say("relayed", String(sum("relayed")));
    say("missed", String(sum("missed")));
    say("peers", String((s.peers || []).length));
    say("sent", bytes((s.traffic && s.traffic.sent_bytes) || 0));
    if (el("link").value !== (s.link || "")) el("link").value = s.link || "";

    if (b && b.id !== playing && (b.state !== "ended" || !playing) && (!playing || video.ended || video.error || b.state === "live")) {
      playing = b.id;
      load();
    }
    // A live picture that stands still for long is started anew; some browsers' own players give up silently.
    if (video.currentTime !== position || video.paused) {
      position = video.currentTime;
      moved = Date.now();
    } else if (b && b.state === "live" && Date.now() - moved > 12000) {
      load();
    }
  }

  async function poll() {
    try {
      const r = await fetch("/api/v1/status", { cache: "no-store" });
      if (!r.ok) throw new Error(String(r.status));
      show(await r.json());
    } catch {
      say("state", "The node does not answer");
      say("help", "If it was stopped, start it again; this page goes on by itself.");
    }
    setTimeout(poll, 1000);
  }

  if (!video.canPlayType("application/vnd.apple.mpegurl")) {
    say("help", "This browser cannot play HLS by itself. Use Safari or a current Chromium, or build the full page.");
  }
  poll();
})();
