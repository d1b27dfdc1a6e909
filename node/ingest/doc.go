// Package ingest takes live sources apart into access units: RTMP and Enhanced RTMP publishers, MPEG-TS from a pipe,
// MPEG-TS and MP4 files played in real time, and a built-in test picture.
//
// Every source calls a Sink from one goroutine: Format when the streams are known or change, Unit for each picture and
// each frame of sound, Interrupt when the publisher went away and may come back. What becomes of the units (chunks,
// signatures) is not this package's affair, and it decodes no picture.
//
// The files in reading order: sink.go and errors.go; feed.go, which learns the format and holds units back until it
// knows it, with params.go, which reads codec parameters out of the streams; rtmp.go (server), rtmp_seat.go (who may
// publish), rtmp_session.go (one connection), rtmp_media.go (its audio and video); ts.go; file.go and pace.go (files in
// real time) with mp4.go (the index of a plain MP4 file) and mp4_fragments.go (fragmented). The test picture has its
// own package, testpicture.
//
// One track carries at most one video and one audio stream: of several, the first of each kind is taken and the others
// are named in the log. A stream in an unsupported codec beside a supported one is left out with a warning; where
// nothing else remains, or where the video is the unsupported one, the source ends with ErrUnsupportedCodec.
package ingest
