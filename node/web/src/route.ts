// What the address bar asks for: the live broadcast, or a recording by its broadcast's id.

export type Route = { show: "live" } | { show: "recording"; broadcast: string };

const prefix = "#/recording/";

/** @param hash location.hash. What is not understood means live: an old link is better off there than at an error. */
export function parseRoute(hash: string): Route {
  if (!hash.startsWith(prefix)) return { show: "live" };
  try {
    const broadcast = decodeURIComponent(hash.slice(prefix.length).replace(/[/?].*$/, ""));
    return broadcast ? { show: "recording", broadcast } : { show: "live" };
  } catch {
    return { show: "live" };
  }
}

export function hashOf(r: Route): string {
  return r.show === "recording" ? prefix + encodeURIComponent(r.broadcast) : "#/";
}
