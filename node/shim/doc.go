// Package shim is a participant's local HTTP face: low-latency HLS with blocking reload, one endless MP4 for players
// without it, the web page, the API's status and events, and metrics. What the playlists say and when a request has to
// wait is decided in package playlist; this package keeps the chunks at hand, does the waiting, and guards the door.
// It does not talk to the mesh: chunks are pushed into it.
//
// Reading order: config.go, server.go, guard.go (who may ask), broadcast.go, track.go and text.go (what there is),
// media.go and live.go (how it is served), status.go, events.go, metrics.go, embed.go (the page).
package shim
