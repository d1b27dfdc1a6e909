import { afterEach, describe, expect, it, vi } from "vitest";
import { Wishes, isSound, qualities, soundLabel, sounds, whole } from "../src/choice";
import { parseStatus } from "../src/status";

const tracks = (spec: Record<string, string>) =>
  parseStatus({ broadcasts: [{ id: "a", state: "live", tracks: Object.entries(spec).map(([name, codecs]) => ({ name, codecs })) }] }).broadcasts[0]!.tracks;

describe("isSound", () => {
  it.each([
    ["mp4a.40.2", true],
    ["opus", true],
    ["avc1.64001f,mp4a.40.2", false],
    ["avc1.64001f", false],
    ["", false],
  ])("%j: %s", (codecs, want) => expect(isSound(codecs)).toBe(want));
});

describe("soundLabel", () => {
  it.each([
    ["de", "Deutsch"],
    ["fr", "Français"],
    ["pt-br", "Português (Brasil)"],
    ["Original", "Original"],
    ["audience-2", "audience-2"],
    ["main", "main"],
  ])("%s is %s", (name, want) => expect(soundLabel(name)).toBe(want));
});

describe("sounds", () => {
  const main = "avc1.64001f,mp4a.40.2";
  it.each([
    ["one sound", [], { main }, []],
    ["a second one", ["Original", "de"], { main, de: "mp4a.40.2" }, ["Original", "de"]],
    ["one that began after the player", [], { main, de: "mp4a.40.2" }, ["Original", "de"]],
    ["a third that began after the player", ["Original", "de"], { main, de: "mp4a.40.2", fr: "opus" }, ["Original", "de", "fr"]],
    ["another quality is no sound", [], { main, low: main }, []],
    ["one that has not begun", [], { main, de: "" }, []],
    ["a recording, of which the status does not tell", ["Original", "de"], {}, ["Original", "de"]],
  ])("%s", (_, playable, status, want) => expect(sounds(playable, tracks(status as Record<string, string>)).map((c) => c.id)).toEqual(want));
});

describe("qualities", () => {
  it.each([
    [[], []],
    [[1080], []],
    [[360, 1080, 720, 720], ["", "1080", "720", "360"]],
    [[0, 720], []],
  ])("%j: %j", (heights, want) => expect(qualities(heights).map((c) => c.id)).toEqual(want));
});

describe("whole", () => {
  it.each([
    ["/b/1/main.video/index.m3u8", "/b/1/main/index.m3u8"],
    ["/b/1/main.audio/dvr.m3u8", "/b/1/main/dvr.m3u8"],
    ["/b/1/main/index.m3u8", "/b/1/main/index.m3u8"],
    ["", ""],
  ])("%j is %j", (path, want) => expect(whole(path)).toBe(want));
});

describe("Wishes", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("last longer than the page", () => {
    const stored = new Map<string, string>();
    vi.stubGlobal("localStorage", { getItem: (k: string) => stored.get(k) ?? null, setItem: (k: string, v: string) => stored.set(k, v) });
    new Wishes().sound = "de";
    expect(new Wishes().sound).toBe("de");
    new Wishes().sound = "Original";
    expect(new Wishes().sound).toBe("");
  });

  it("last as long as the page where nothing may be stored", () => {
    vi.stubGlobal("localStorage", { getItem: () => { throw new Error("refused"); }, setItem: () => { throw new Error("refused"); } });
    const wishes = new Wishes();
    wishes.quality = "720";
    expect(wishes.quality).toBe("720");
  });
});
