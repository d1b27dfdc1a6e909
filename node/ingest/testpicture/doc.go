// Package testpicture makes a live picture and tone in pure Go, so that a demo or a test needs no camera and no ffmpeg.
//
// The picture is H.264 (Constrained Baseline) with a clock that a person can read, the same clock as bars that a
// program can read (ReadBars), a flock that moves smoothly, and a block that flashes at each full second. The sound is
// AAC-LC: a soft hum with a beep in time with the flash.
//
// The files in reading order: picture.go runs the show, scene.go draws a frame (glyphs.go, flock.go, canvas.go,
// bars.go), encoder.go codes it (transform.go, cavlc.go, params.go, bits.go), tone.go holds the sound.
//
// The encoder is not a general one: macroblocks are either Intra16x16 or skipped, motion is not searched for, and the
// quantiser is fixed. That is what a drawn picture on a still background needs.
package testpicture
