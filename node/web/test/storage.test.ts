import { expect, it } from "vitest";
import { filled, fullLine, storeLine } from "../src/storage";

const store = { bytes: 5e9, quotaBytes: 20e9, freeBytes: 1e9, recordings: 3, full: false };

it("says how much of the limit is used", () => {
  expect(filled(store)).toBe(0.25);
  expect(filled({ ...store, bytes: 30e9 })).toBe(1);
  expect(filled({ ...store, quotaBytes: 0 })).toBeNull();
  expect(storeLine(store)).toBe("3 recordings, 5.0 GB of 20 GB");
  expect(storeLine({ ...store, recordings: 1, quotaBytes: 0 })).toBe("1 recording, no limit set");
});

it("says what to do when there is no room", () => {
  expect(fullLine(store)).toBe("");
  expect(fullLine({ ...store, full: true })).toContain("murmur recordings rm");
});
