// What this node keeps on disk.

import { byId, say, show } from "./dom";
import { bytes, whole } from "./format";
import type { Store } from "./status";

/** The way out of a full disk. */
export const makeRoom = "Free some space, or delete a recording that others hold: murmur recordings rm ID --listed.";

/** Share of the limit that is used, 0..1; null where there is no limit. */
export function filled(s: Store): number | null {
  return s.quotaBytes > 0 ? Math.min(1, s.bytes / s.quotaBytes) : null;
}

/** The line for people and screen readers alike. */
export function storeLine(s: Store): string {
  const count = `${whole(s.recordings)} recording${s.recordings === 1 ? "" : "s"}`;
  return s.quotaBytes > 0 ? `${count}, ${bytes(s.bytes)} of ${bytes(s.quotaBytes)}` : `${count}, no limit set`;
}

/** What to do when there is no room; "" while there is. */
export function fullLine(s: Store): string {
  if (!s.full) return "";
  return `The disk is full, so what comes is not kept here. ${makeRoom} What is missing is then fetched from others.`;
}

export function renderStore(s: Store | null): void {
  show(byId("store"), s !== null);
  if (!s) return;
  say(byId("store-note"), storeLine(s));
  say(byId("store-full"), fullLine(s));
  show(byId("store-full"), s.full);
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
