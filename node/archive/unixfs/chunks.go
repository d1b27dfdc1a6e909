package unixfs

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

const (
	// chunksName is the file that says of each chunk what a playlist does not.
	chunksName = "chunks.txt"
	chunksHead = "murmuration chunks 1\n"
)

// predict returns what the chunk after p is unless it says otherwise.
func predict(p Part) (epoch, seq uint64, scale uint32, decode uint64) {
	return p.Epoch, p.Seq + 1, p.Timescale, p.DecodeTime + uint64(p.Duration)
}

// encodeChunks writes chunks.txt: the chunks and end marks of a track that are here, in ascending order.
//
//	run EPOCH SEQ TIMESCALE DECODE_TIME INIT CAPTURED
//	DURATION FLAGS BYTES CAPTURED
//
// A run line comes before the first chunk, and before each that does not follow on the one before; INIT is the number
// of the init segment (1 for init.mp4, 0 for none that is here) and CAPTURED the wall clock of the run's first sample,
// in microseconds since 1970. The CAPTURED of a chunk is counted from the end of the one before. FLAGS are those of
// envelopes.
func encodeChunks(l *layout) []byte {
	number := map[cid.Cid]int64{}
	for n, p := range l.inits {
		number[p.Init] = int64(n + 1)
	}
	b := append(make([]byte, 0, 24*len(l.parts)), chunksHead...)
	line := func(values ...int64) {
		for i, v := range values {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendInt(b, v, 10)
		}
		b = append(b, '\n')
	}
	var expected int64
	for i, p := range l.parts {
		captured := int64(0)
		if us := p.Captured.UnixMicro(); !p.Captured.IsZero() && us > 0 && us <= envelope.MaxInteger {
			captured = us
		}
		begins := i == 0
		if !begins {
			epoch, seq, scale, decode := predict(l.parts[i-1])
			begins = p.Epoch != epoch || p.Seq != seq || p.Timescale != scale || p.DecodeTime != decode ||
				number[p.Init] != number[l.parts[i-1].Init]
		}
		if begins {
			b = append(b, "run "...)
			line(int64(p.Epoch), int64(p.Seq), int64(p.Timescale), int64(p.DecodeTime), number[p.Init], captured)
			expected = captured
		}
		size := int64(p.Size)
		if p.End || !p.Block.Defined() {
			size = 0
		}
		line(int64(p.Duration), int64(flags(p)), size, captured-expected)
		expected = captured + lengthMicros(p)
	}
	return b
}

func lengthMicros(p Part) int64 {
	if p.Timescale == 0 {
		return 0
	}
	return p.Length().Microseconds()
}

func flags(p Part) (f envelope.Flags) {
	for flag, set := range map[envelope.Flags]bool{
		envelope.Independent: p.Independent, envelope.Discontinuity: p.Discontinuity, envelope.End: p.End,
	} {
		if set {
			f |= flag
		}
	}
	return f
}

// parseChunks reads chunks.txt. Init segments are taken from inits, in order; the chunks' blocks are not known yet and
// are left as noBlock.
func parseChunks(text []byte, inits []Link) ([]Part, error) {
	text, ok := bytes.CutPrefix(text, []byte(chunksHead))
	if !ok {
		return nil, fmt.Errorf("%w: %s of another version", ErrHostile, chunksName)
	}
	if n := bytes.Count(text, []byte("\n")); n > 2*maxChunks {
		return nil, fmt.Errorf("%w: %s of %d lines", ErrHostile, chunksName, n)
	}
	names := make([]string, len(inits))
	for i, l := range inits {
		names[i] = l.Cid.String()
	}
	var parts []Part
	var next Part
	var expected int64
	open := false
	for line := range bytes.Lines(text) {
		body, isRun := bytes.CutPrefix(line, []byte("run "))
		want := 4
		if isRun {
			want = 6
		}
		v, ok := integers(body, want)
		if !ok {
			return nil, fmt.Errorf("%w: %s: line %.60q", ErrHostile, chunksName, line)
		}
		if isRun {
			if v[2] < 1 || v[2] > math.MaxUint32 || v[4] < 0 || v[4] > int64(len(inits)) || min(v[0], v[1], v[3], v[5]) < 0 {
				return nil, fmt.Errorf("%w: %s: line %.60q", ErrHostile, chunksName, line)
			}
			next = Part{Part: playlist.Part{Epoch: uint64(v[0]), Seq: uint64(v[1]), Timescale: uint32(v[2]), DecodeTime: uint64(v[3])}}
			if v[4] > 0 {
				next.Init, next.InitSize, next.Part.Init = inits[v[4]-1].Cid, int(inits[v[4]-1].Size), names[v[4]-1]
			}
			expected, open = v[5], true
			continue
		}
		f := envelope.Flags(v[1])
		if !open || v[0] < 0 || v[0] > math.MaxUint32 || v[1] < 0 || v[1] > math.MaxUint32 || v[2] < 0 || v[2] >= envelope.MaxBlock ||
			f.Has(envelope.End) != (v[2] == 0) || next.DecodeTime > envelope.MaxInteger {
			return nil, fmt.Errorf("%w: %s: line %.60q", ErrHostile, chunksName, line)
		}
		p := next
		p.Duration, p.Size = uint32(v[0]), int(v[2])
		p.Independent, p.Discontinuity, p.End = f.Has(envelope.Independent), f.Has(envelope.Discontinuity), f.Has(envelope.End)
		captured := expected + v[3]
		if captured < 0 || captured > envelope.MaxInteger {
			return nil, fmt.Errorf("%w: %s: line %.60q", ErrHostile, chunksName, line)
		}
		if captured > 0 {
			p.Captured = time.UnixMicro(captured).UTC()
		}
		if !p.End {
			p.Block = noBlock
		}
		if n := len(parts); n > 0 && !parts[n-1].ID().Less(p.ID()) {
			return nil, fmt.Errorf("%w: %s: chunk %d-%d is not in order", ErrHostile, chunksName, p.Epoch, p.Seq)
		}
		parts = append(parts, p)
		expected = captured + lengthMicros(p)
		next.Epoch, next.Seq, next.Timescale, next.DecodeTime = predict(p)
	}
	return parts, nil
}

// noBlock stands for blocks not known yet.
var noBlock = rawCID(nil)

// integers reads n numbers of up to 53 bits, separated by one space each and ended by a line break.
func integers(line []byte, n int) ([6]int64, bool) {
	var v [6]int64
	line, ok := bytes.CutSuffix(line, []byte("\n"))
	for i := range n {
		word := line
		if i < n-1 {
			var more bool
			word, line, more = bytes.Cut(line, []byte(" "))
			ok = ok && more
		}
		if len(word) > 17 {
			return v, false
		}
		k, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil || k > envelope.MaxInteger || k < -envelope.MaxInteger {
			return v, false
		}
		v[i] = k
	}
	return v, ok
}
