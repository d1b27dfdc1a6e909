import { expect, it } from "vitest";
import { filled, storeLine } from "../src/storage";

const store = { bytes: 5e9, quotaBytes: 20e9, freeBytes: 1e9, recordings: 3 };

it("says how much of the limit is used", () => {
  expect(filled(store)).toBe(0.25);
  expect(filled({ ...store, bytes: 30e9 })).toBe(1);
  expect(filled({ ...store, quotaBytes: 0 })).toBeNull();
  expect(storeLine(store)).toBe("3 recordings, 5.0 GB of 20 GB");
  expect(storeLine({ ...store, recordings: 1, quotaBytes: 0 })).toBe("1 recording, no limit set");
});
