// Package player is a low-latency HLS client without a screen: it reloads playlists by blocking, fetches each part as
// it is listed, moves a playhead as hls.js would, and measures what a viewer would notice: start-up, stalls, missing
// parts, latency. It decodes nothing. The demo's figures and the benchmarks come from it.
package player
