import { describe, expect, it } from "vitest";
import { parseStatus } from "../src/status";
import { advice, sinceLine, veil } from "../src/words";

const alone = parseStatus({ role: "viewer", broadcasts: [{ id: "b", tracks: [{ codecs: "hvc1.1.6", chunks: { received: 1 } }] }] });
const among = parseStatus({ role: "viewer", peers: [{ id: "p" }] });

describe("advice", () => {
  it("is silent when all is well", () => {
    expect(advice("live", among, null, false, true)).toBeNull();
    expect(advice("waiting", alone, null, false, true)).toBeNull();
    expect(advice("interrupted", among, null, false, true)).toBeNull();
  });

  it("names the codec that the browser lacks", () => {
    expect(advice("live", alone, { kind: "codec", fatal: true, detail: "" }, false, true)?.title).toContain("hvc1.1.6");
  });

  it.each([
    ["offline", among, null, /does not answer/],
    ["interrupted", alone, null, /neighbours/],
    ["live", among, { kind: "network", fatal: false, detail: "fragLoadError" }, /does not come through/],
    ["live", among, { kind: "media", fatal: false, detail: "" }, /stumbled/],
  ] as const)("%s says what is wrong", (state, s, trouble, want) => expect(advice(state, s, trouble, false, true)?.title).toMatch(want));

  it("puts a browser that cannot play before all else, and clocks last", () => {
    expect(advice("offline", null, null, false, false)?.title).toMatch(/cannot play/);
    expect(advice("live", among, null, true, true)?.title).toMatch(/clocks/);
    expect(advice("live", among, { kind: "media", fatal: false, detail: "" }, true, true)?.title).toMatch(/stumbled/);
  });
});

it("tells a lonely viewer from one who waits", () => {
  expect(veil("waiting", alone).title).toMatch(/Looking/);
  expect(veil("waiting", among).title).toMatch(/Waiting/);
  expect(veil("locked", among).text).toMatch(/link that has its key/);
  expect(veil("locked", parseStatus({ role: "seed" })).text).toMatch(/carried and kept/);
});

it("says how long it has been", () => {
  const t = new Date(2026, 10, 22, 9, 5).getTime();
  expect(sinceLine("live", t, 0, t + 120_000)).toBe("since 09:05, 2 minutes");
  expect(sinceLine("ended", t, 0, t)).toBe("began at 09:05");
  expect(sinceLine("interrupted", t, 12_300, t)).toBe("nothing new for 12 seconds");
  expect(sinceLine("waiting", t, 0, t)).toBe("");
});
