import { describe, expect, it } from "vitest";
import { type Route, hashOf, parseRoute } from "../src/route";

describe("parseRoute", () => {
  it.each<[string, string]>([
    ["", "live"],
    ["#", "live"],
    ["#/", "live"],
    ["#/elsewhere", "live"],
    ["#/recording/", "live"],
    ["#/recording/%E0%A4%A", "live"],
    ["#/recording/0mws4qyo6dfne305", "0mws4qyo6dfne305"],
    ["#/recording/a%2Fb", "a/b"],
    ["#/recording/a/later", "a"],
    ["#/recording/a?t=3", "a"],
  ])("%j is %s", (hash, want) => {
    const r = parseRoute(hash);
    expect(r.show === "recording" ? r.broadcast : r.show).toBe(want);
  });

  it.each<Route>([{ show: "live" }, { show: "recording", broadcast: "0mws" }, { show: "recording", broadcast: "ä/ ?#" }])("comes back from %j", (r) => expect(parseRoute(hashOf(r))).toEqual(r));
});
