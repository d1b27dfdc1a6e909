// What this node keeps on disk.

import { byId, say, show } from "./dom";
import { bytes, whole } from "./format";
import type { Store } from "./status";

/** Share of the limit that is used, 0..1; null where there is no limit. */
export function filled(s: Store): number | null {
  return s.quotaBytes > 0 ? Math.min(1, s.bytes / s.quotaBytes) : null;
}

/** The line for people and screen readers alike. */
export function storeLine(s: Store): string {
  const count = `${whole(s.recordings)} recording${s.recordings === 1 ? "" : "s"}`;
  return s.quotaBytes > 0 ? `${count}, ${bytes(s.bytes)} of ${bytes(s.quotaBytes)}` : `${count}, no limit set`;
}

export function renderStore(s: Store | null): void {
  show(byId("store"), s !== null);
  if (!s) return;
  say(byId("store-note"), storeLine(s));
  say(byId("s-bytes"), bytes(s.bytes));
  say(byId("s-quota"), s.quotaBytes > 0 ? bytes(s.quotaBytes) : "none");
  say(byId("s-free"), s.freeBytes > 0 ? bytes(s.freeBytes) : "–");
  const share = filled(s);
  const bar = byId("store-bar");
  show(bar, share !== null);
  if (share === null) return;
  const percent = Math.round(share * 100);
  bar.style.setProperty("--done", String(share));
  bar.setAttribute("aria-valuenow", String(percent));
  bar.setAttribute("aria-valuetext", `${percent} % of the limit used`);
}
