// Package shim is a participant's local HTTP face: low-latency HLS with blocking reload, one endless MP4 for players
// without it, the web page, the API's status and events, and metrics. What the playlists say and when a request has to
// wait is decided in package playlist; this package keeps the chunks at hand, does the waiting, and guards the door.
// It does not talk to the mesh: chunks are pushed into it, and what was before is asked of a History.
//
// Reading order: config.go, server.go, certificate.go, guard.go and private.go (who may ask), broadcast.go, track.go, past.go (what was
// before), text.go and zip.go (what there is), media.go, fetch.go, live.go and movie.go (how it is served), demand.go
// (recordings that are opened when somebody asks), status.go, events.go, metrics.go, embed.go (the page).
package shim
