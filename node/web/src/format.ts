// Numbers as people read them. Decimal units, as networks and disks are sold: 1 MB = 1,000,000 bytes.

const places = (v: number): number => (v < 9.95 ? 1 : 0);

function scaled(v: number, units: readonly string[]): string {
  let i = 0;
  while (v >= 999.5 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return `${v.toFixed(i === 0 ? 0 : places(v))} ${units[i]}`;
}

export const bytes = (n: number): string => scaled(Math.max(0, n), ["B", "kB", "MB", "GB", "TB", "PB"]);
export const rate = (bps: number): string => scaled(Math.max(0, bps), ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);
export const whole = (n: number): string => Math.round(n).toLocaleString("en-US");

export function seconds(s: number | null): string {
  if (s === null || !Number.isFinite(s)) return "–";
  return Math.abs(s) < 9.95 ? s.toFixed(1) : s < 600 ? Math.round(s).toString() : clock(s);
}

/** The unit of what seconds() writes: from ten minutes on that is a clock's m:ss or h:mm:ss. */
export function secondsUnit(s: number | null): "seconds" | "minutes" | "hours" {
  return s === null || !(s >= 600) ? "seconds" : s < 3600 ? "minutes" : "hours";
}

/** h:mm:ss or m:ss. */
export function clock(s: number): string {
  const t = Math.max(0, Math.floor(s));
  const mm = Math.floor(t / 60) % 60;
  const ss = String(t % 60).padStart(2, "0");
  const h = Math.floor(t / 3600);
  return h > 0 ? `${h}:${String(mm).padStart(2, "0")}:${ss}` : `${mm}:${ss}`;
}

/** "3 seconds", "1 minute", for sentences and for screen readers. */
export function span(s: number): string {
  const t = Math.max(0, Math.round(s));
  const say = (n: number, unit: string) => `${n} ${unit}${n === 1 ? "" : "s"}`;
  if (t < 60) return say(t, "second");
  if (t < 3600) return say(Math.round(t / 60), "minute");
  const m = Math.round((t % 3600) / 60);
  return say(Math.floor(t / 3600), "hour") + (m ? ` ${say(m, "minute")}` : "");
}

export function millis(ms: number | null): string {
  if (ms === null) return "–";
  return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Long peer ids differ at their ends. */
export function shortId(id: string): string {
  return id.length > 14 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id;
}

/** A multiaddr as "192.0.2.7:4001 quic". What is not understood is shown as it came. */
export function address(multiaddr: string): string {
  const p = multiaddr.split("/");
  if (p[0] !== "" || p.length < 5) return multiaddr;
  const [, kind, host, transport, port] = p;
  if (!kind || !/^(ip4|ip6|dns|dns4|dns6)$/.test(kind)) return multiaddr;
  const name = kind === "ip6" ? `[${host}]` : host;
  const extra = p.includes("p2p-circuit")
    ? "relayed"
    : p.includes("webtransport")
      ? "webtransport"
      : p.includes("quic-v1") || p.includes("quic")
        ? "quic"
        : p.includes("ws") || p.includes("wss")
          ? "websocket"
          : (transport ?? "");
  return `${name}:${port} ${extra}`;
}

/** How the copies given compare with what was taken. */
export function giving(sent: number, received: number): string {
  if (sent <= 0) return "Nothing has been passed on yet.";
  if (received <= 0) return "";
  const r = sent / received;
  if (r < 0.05) return "A little of what you received.";
  return `That is ${r < 9.95 ? r.toFixed(1) : Math.round(r)} times what you received.`;
}
