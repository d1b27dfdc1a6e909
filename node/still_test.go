package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
)

func TestStillIsMadeOnce(t *testing.T) {
	made := make(chan string, 4*maxStills)
	s := &stills{
		picture: func(_ context.Context, mp4 []byte) ([]byte, error) {
			made <- string(mp4)
			if string(mp4) == "bad" {
				return nil, errors.New("no picture")
			}
			return []byte("picture of " + string(mp4)), nil
		},
		kept: map[[32]byte]func() ([]byte, error){},
	}
	s.prepare([]byte("talk"))
	s.prepare([]byte("bad"))
	<-made
	<-made // before anybody asked
	if b, err := s.still(t.Context(), []byte("talk")); err != nil || string(b) != "picture of talk" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := s.still(t.Context(), []byte("bad")); err == nil {
		t.Error("the error is lost")
	}
	if len(made) != 0 {
		t.Errorf("made again: %s", <-made)
	}
	if b, err := s.still(t.Context(), []byte("another")); err != nil || string(b) != "picture of another" {
		t.Errorf("what was not prepared: %q, %v", b, err)
	}
	for i := range 2 * maxStills {
		s.prepare([]byte{byte(i), byte(i >> 8)})
	}
	if len(s.kept) > maxStills {
		t.Errorf("%d pictures are kept", len(s.kept))
	}
}

func TestPoserTakesTheFirstPictureAfterAWhile(t *testing.T) {
	var p poser
	var taken []uint64
	for seq := range uint64(80) {
		c := envelope.Chunk{
			Envelope: &envelope.Envelope{Seq: seq, Timescale: 1000, Duration: 250},
			Block:    []byte("block"),
		}
		if seq%8 == 0 {
			c.Flags, c.Init = envelope.Independent, []byte("init")
		}
		if mp4 := p.take(c); mp4 != nil {
			taken = append(taken, seq)
			if string(mp4) != "initblock" {
				t.Errorf("took %q", mp4)
			}
		}
	}
	want := uint64(24) // the first keyframe past the 20th chunk
	if unixfs.PosterAfter != 5*time.Second || len(taken) != 1 || taken[0] != want {
		t.Errorf("took chunks %v, not %d", taken, want)
	}
}
