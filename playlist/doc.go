// Package playlist turns a window of chunks into HLS playlists: low-latency ones while the broadcast lives, and what is
// left in the window, as a plain list, once it has ended. It is a model without I/O and without a clock: parts and the
// time go in, text and decisions come out. It does not hold media, open sockets or wait for anybody; node/shim does.
//
// The rules are those of draft-pantos-hls-rfc8216bis ("the RFC" in this package's comments).
//
// Reading order: part.go (what goes in), playlist.go (the window), arrivals.go (what order parts are listed in, and
// what is done about those that do not come), segment.go (where segments begin), clock.go (PROGRAM-DATE-TIME),
// render.go and multivariant.go (text), reload.go (blocking reload), parse.go (the way back, for players and tests).
package playlist
