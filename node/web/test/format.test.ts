import { describe, expect, it } from "vitest";
import { address, bytes, clock, giving, millis, rate, seconds, secondsUnit, shortId, span } from "../src/format";

describe("bytes", () => {
  it.each([
    [0, "0 B"],
    [-5, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [9_949, "9.9 kB"],
    [9_960, "10 kB"],
    [120_000_000, "120 MB"],
    [999_600_000, "1.0 GB"],
    [3.2e18, "3200 PB"],
  ])("%d is %s", (n, want) => expect(bytes(n)).toBe(want));
});

describe("rate", () => {
  it.each([
    [0, "0 bit/s"],
    [940, "940 bit/s"],
    [3_000_000, "3.0 Mbit/s"],
    [25_400_000, "25 Mbit/s"],
  ])("%d is %s", (n, want) => expect(rate(n)).toBe(want));
});

describe("times", () => {
  it.each([
    [null, "–"],
    [NaN, "–"],
    [1.34, "1.3"],
    [9.96, "10"],
    [61.2, "61"],
    [3725, "1:02:05"],
  ])("seconds(%s) is %s", (n, want) => expect(seconds(n)).toBe(want));

  it.each([
    [0, "0:00"],
    [-3, "0:00"],
    [65.9, "1:05"],
    [3600, "1:00:00"],
  ])("clock(%d) is %s", (n, want) => expect(clock(n)).toBe(want));

  it.each([
    [1, "1 second"],
    [42.4, "42 seconds"],
    [60, "1 minute"],
    [3599, "60 minutes"],
    [3600, "1 hour"],
    [7320, "2 hours 2 minutes"],
  ])("span(%d) is %s", (n, want) => expect(span(n)).toBe(want));

  it.each([
    [null, "–"],
    [0.84, "0.8 ms"],
    [84.2, "84 ms"],
  ])("millis(%s) is %s", (n, want) => expect(millis(n)).toBe(want));
});

describe("address", () => {
  it.each([
    ["/ip4/192.0.2.7/udp/4001/quic-v1", "192.0.2.7:4001 quic"],
    ["/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3Koo", "192.0.2.7:4001 quic"],
    ["/ip6/2001:db8::1/tcp/4001", "[2001:db8::1]:4001 tcp"],
    ["/dns4/example.org/tcp/443/wss", "example.org:443 websocket"],
    ["/ip4/1.2.3.4/udp/4001/quic-v1/webtransport/certhash/u", "1.2.3.4:4001 webtransport"],
    ["/ip4/1.2.3.4/udp/4001/quic-v1/p2p/12D3/p2p-circuit", "1.2.3.4:4001 relayed"],
    ["/unix/x", "/unix/x"],
    ["", ""],
  ])("%s is %s", (n, want) => expect(address(n)).toBe(want));
});

describe("words about giving", () => {
  it("says nothing false when nothing was sent or received", () => {
    expect(giving(0, 10)).toMatch(/Nothing/);
    expect(giving(10, 0)).toBe("");
    expect(giving(1, 100)).toMatch(/little/);
    expect(giving(170, 100)).toBe("That is 1.7 times what you received.");
    expect(giving(2000, 100)).toBe("That is 20 times what you received.");
  });
});

it("shortens long ids at the middle", () => {
  expect(shortId("12D3KooWQ7xL2yWvS5sB8hTq")).toBe("12D3…sB8hTq");
  expect(shortId("short")).toBe("short");
});

it.each([
  [null, "seconds"],
  [NaN, "seconds"],
  [1.3, "seconds"],
  [599, "seconds"],
  [600, "minutes"],
  [3599, "minutes"],
  [3600, "hours"],
])("reads %s in %s", (v, want) => expect(secondsUnit(v)).toBe(want));
