// Package e2e runs the whole of Murmuration with real programs: ffmpeg pushes, murmur processes carry, Chromium plays,
// ffprobe reads. It holds tests only. As root on Linux the viewers live in a network namespace of their own, from which
// the origin cannot be reached.
package e2e
