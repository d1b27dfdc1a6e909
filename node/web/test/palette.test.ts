/// <reference types="vite/client" />
import { describe, expect, it } from "vitest";
import css from "../src/style/palette.css?raw";

// Contrast by WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
type Colour = [number, number, number];

/** The colours that the first block with this head sets. */
function colours(head: RegExp): Map<string, Colour> {
  const block = new RegExp(`${head.source}\\s*\\{([^}]*)\\}`).exec(css)?.[1] ?? "";
  const found = new Map<string, Colour>();
  for (const [, name, hex] of block.matchAll(/--([\w-]+): #([0-9a-f]{3,6});/g)) {
    const long = hex!.length === 3 ? [...hex!].map((c) => c + c).join("") : hex!;
    found.set(name!, [0, 2, 4].map((i) => parseInt(long.slice(i, i + 2), 16) / 255) as Colour);
  }
  return found;
}

function luminance(c: Colour): number {
  const [r, g, b] = c.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)) as Colour;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Colour, b: Colour): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const dark = colours(/\.poster/);
const light = colours(/prefers-color-scheme: light\) \{\s*:root/);

const pairs: [string[], string[], number][] = [
  [["text", "soft"], ["sky", "card", "well", "chip", "warning", "offer"], 7],
  [["text"], ["faint"], 7],
  [["muted", "ember", "rose"], ["sky", "card"], 4.5],
  [["on-air-text"], ["on-air"], 7],
  [["dot", "ember", "rose", "blue", "green"], ["card", "sky"], 3],
  [["rose"], ["on-air"], 3],
  [["ember", "blue"], ["chip"], 3],
];

describe.each([
  ["dark", dark],
  ["light", light],
])("the %s palette", (_, palette) => {
  for (const [inks, grounds, least] of pairs) {
    for (const ink of inks) {
      for (const ground of grounds) {
        it(`${ink} on ${ground}`, () => expect(contrast(palette.get(ink)!, palette.get(ground)!)).toBeGreaterThanOrEqual(least));
      }
    }
  }
});

it("names the same colours in both", () => {
  expect(dark.size).toBeGreaterThan(15);
  expect([...light.keys()].sort()).toEqual([...dark.keys()].sort());
});
