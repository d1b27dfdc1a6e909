// The link to the channel, and copying it.

import { byId, say, show } from "./dom";

const box = byId("share");
const link = byId<HTMLInputElement>("link");
const copy = byId<HTMLButtonElement>("copy");

export function initShare(): void {
  say(byId("mp4"), `${location.origin}/live.mp4`);
  say(byId("m3u8"), `${location.origin}/live.m3u8`);
  link.addEventListener("focus", () => link.select());
  let restore = 0;
  copy.addEventListener("click", () => {
    void copyText().then((ok) => {
      say(copy, ok ? "Copied" : "Press Ctrl+C");
      clearTimeout(restore);
      restore = window.setTimeout(() => say(copy, "Copy"), 2500);
    });
  });
}

export function renderShare(url: string): void {
  show(box, url !== "");
  if (link.value !== url) link.value = url;
}

async function copyText(): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(link.value);
    return true;
  } catch {
    // The clipboard interface is for secure origins; a page opened over the LAN is none.
    link.focus();
    link.select();
    return document.execCommand("copy");
  }
}
