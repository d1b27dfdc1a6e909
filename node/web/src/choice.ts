// What a broadcast offers to choose from, sounds and qualities, and what the viewer has chosen.

import type { Track } from "./status";

/** One of the sounds or qualities that can be played. */
export interface Choice {
  /** What it is remembered by: a track's name, a height, or "". */
  id: string;
  label: string;
}

/** The sound that comes with the picture; what the node's playlists call it. */
export const original = "Original";

const soundCodec = /^(mp4a|opus|mp3|ac-3|ec-3|flac)/i;

/** Whether RFC 6381 codecs are of sound alone. */
export const isSound = (codecs: string): boolean => codecs !== "" && codecs.split(",").every((c) => soundCodec.test(c.trim()));

/** A track's name for people: that of a language in itself where it is one. */
export function soundLabel(name: string): string {
  if (name === original || !/^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(name)) return name;
  try {
    const own = new Intl.DisplayNames([name], { type: "language", fallback: "none" }).of(name);
    return own ? own.charAt(0).toLocaleUpperCase(name) + own.slice(1) : name;
  } catch {
    return name; // no language tag after all
  }
}

/**
 * The sounds to choose from.
 * @param playable the names of those that the player has
 * @param tracks what the status tells of the broadcast: some may have begun after the player did
 */
export function sounds(playable: readonly string[], tracks: readonly Track[]): Choice[] {
  const names = [...playable];
  for (const t of tracks) if (isSound(t.codecs) && !names.includes(t.name)) names.push(t.name);
  if (names.length > 0 && !names.includes(original) && playable.length === 0) names.unshift(original);
  return names.length > 1 ? names.map((id) => ({ id, label: soundLabel(id) })) : [];
}

/** The qualities to choose from, best first; by itself the player takes what the computer keeps up with. */
export function qualities(heights: readonly number[]): Choice[] {
  const all = [...new Set(heights.filter((h) => h > 0))].sort((a, b) => b - a);
  return all.length > 1 ? [{ id: "", label: "Auto" }, ...all.map((h) => ({ id: String(h), label: `${h}p` }))] : [];
}

/** Path of a media playlist as the status names it: picture and sound apart have addresses of their own. */
export const whole = (playlist: string): string => playlist.replace(/\.(video|audio)\/([^/]*)$/, "/$2");

const soundKey = "murmur.sound";
const qualityKey = "murmur.quality";

/** What this viewer chose, here or on an earlier visit. Private windows may refuse storage: it then lasts as long as the page. */
export class Wishes {
  private kept = new Map<string, string>();

  get sound(): string {
    return this.recall(soundKey);
  }

  set sound(id: string) {
    this.keep(soundKey, id === original ? "" : id);
  }

  get quality(): string {
    return this.recall(qualityKey);
  }

  set quality(id: string) {
    this.keep(qualityKey, id);
  }

  private recall(key: string): string {
    try {
      return this.kept.get(key) ?? localStorage.getItem(key) ?? "";
    } catch {
      return "";
    }
  }

  private keep(key: string, id: string): void {
    this.kept.set(key, id);
    try {
      localStorage.setItem(key, id);
    } catch {
      // It lasts as long as the page.
    }
  }
}
