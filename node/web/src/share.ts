// The link to the channel, and copying it.

import { copyFrom } from "./copy";
import { byId, say, show } from "./dom";

const box = byId("share");
const link = byId<HTMLInputElement>("link");

export function initShare(): void {
  say(byId("mp4"), `${location.origin}/live.mp4`);
  say(byId("m3u8"), `${location.origin}/live.m3u8`);
  link.addEventListener("focus", () => link.select());
  copyFrom(byId<HTMLButtonElement>("copy"), () => ({ text: link.value, element: link }));
}

export function renderShare(url: string): void {
  show(box, url !== "");
  if (link.value !== url) link.value = url;
}
