// Package playlist turns a window of chunks into HLS playlists: low-latency ones while the broadcast lives, and what is
// left in the window, as a plain list, once it has ended. It is a model without I/O and without a clock: parts and the
// time go in, text and decisions come out. It does not hold media, open sockets or wait for anybody; node/shim does.
//
// The rules are those of draft-pantos-hls-rfc8216bis ("the RFC" in this package's comments).
//
// # Going back to the start
//
// A window of hours makes a list that players can go back in (DVR) and that is the recording's list the moment it ends.
// A participant that was there from the start has such a list anyway. One that came late is told what was before, and
// puts it in front (Backfill) - before anybody has seen the list, since EXT-X-MEDIA-SEQUENCE may never go back and what
// stands before a listed segment may never change (RFC 6.2.1). Reserving numbers for what may come would not help: a
// player that has loaded a list takes segments in front of the first it knows for a fault. So node/shim waits a moment
// for the history before it shows a list for the first time; where history comes later, those who have the list keep
// it, and a second list at another address has the whole.
//
// Segments begin by one rule for past and present, numbers count from the first chunk's: lists made at different times
// from the same parts are the same, letter by letter. There is no EXT-X-PLAYLIST-TYPE (EVENT makes some players begin at
// the start) and no EXT-X-START: players begin PART-HOLD-BACK from the end, as in any live list, and ffmpeg at its third
// segment from the end (-live_start_index).
//
// What stands before the last seconds never looks otherwise again: it is kept as text, and a reload costs the rendering
// of those seconds (Text). Delta updates leave out what players have (EXT-X-SKIP), but where a discontinuity stands in
// what they would send.
//
// Reading order: config.go, part.go (what goes in), playlist.go (the window), lookup.go (what stands in it), arrivals.go
// (what order parts are listed in, and
// what is done about those that do not come), history.go (what was before), segment.go (where segments begin), clock.go
// (PROGRAM-DATE-TIME), render.go and multivariant.go (text), reload.go (blocking reload), parse.go (the way back, for
// players and tests).
package playlist
