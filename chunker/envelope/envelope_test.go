package envelope

import (
	"bytes"
	"crypto/ed25519"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// block returns size bytes that differ from place to place.
func block(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// sample is a signed envelope; change alters it before signing.
func sample(t testing.TB, change func(*Envelope)) *Envelope {
	t.Helper()
	e := &Envelope{
		Broadcast: "0abc123", Track: "main", Epoch: 1_790_000_000, Seq: 812,
		Timescale: 90000, DecodeTime: 18_000_123, Duration: 24000, PartTarget: 24180,
		Captured: time.UnixMicro(1_790_000_203_456_789).UTC(),
		Flags:    Independent, Init: RawCID([]byte("init")),
		Previous: []cid.Cid{CID([]byte("a")), CID([]byte("b")), CID([]byte("c")), CID([]byte("d"))},
	}
	e.SetBlock(block(94_000), 0)
	if change != nil {
		change(e)
	}
	if err := e.Sign(testKey); err != nil {
		t.Fatal(err)
	}
	return e
}

// goodEnvelopes is shared by the encoding's tests and the fuzz corpus.
func goodEnvelopes(t testing.TB) map[string]*Envelope {
	return map[string]*Envelope{
		"usual": sample(t, nil),
		"first": sample(t, func(e *Envelope) { e.Seq, e.Previous = 0, nil }),
		"one byte": sample(t, func(e *Envelope) {
			e.SetBlock([]byte{1}, 0)
		}),
		"largest block": sample(t, func(e *Envelope) { e.SetBlock(block(MaxBlock-1), 0) }),
		"small fragments": sample(t, func(e *Envelope) {
			e.SetBlock(block(100_000), MinFragment)
		}),
		"end":             sample(t, func(e *Envelope) { e.Flags, e.Duration = End, 0; e.SetBlock(nil, 0) }),
		"end before init": sample(t, func(e *Envelope) { e.Flags, e.Duration, e.Init = End, 0, cid.Undef; e.SetBlock(nil, 0) }),
		"largest numbers": sample(t, func(e *Envelope) {
			e.Epoch, e.Seq, e.DecodeTime = MaxInteger, MaxInteger, MaxInteger
			e.Timescale, e.Duration, e.PartTarget = math.MaxUint32, math.MaxUint32, math.MaxUint32
			e.Captured, e.Flags = time.UnixMicro(MaxInteger).UTC(), math.MaxUint32&^End
		}),
		"sealed": sample(t, func(e *Envelope) { e.Key = Key{Scheme: 1, Number: 300} }),
		"sealed, largest numbers": sample(t, func(e *Envelope) {
			e.Key = Key{Scheme: maxScheme, Number: MaxInteger}
			e.Extensions = []Extension{{"key", []byte{5}}}
		}),
		"sealed end": sample(t, func(e *Envelope) {
			e.Key, e.Flags, e.Duration = Key{Scheme: 1}, End, 0
			e.SetBlock(nil, 0)
		}),
		"all links": sample(t, func(e *Envelope) {
			for len(e.Previous) < MaxPrevious {
				e.Previous = append(e.Previous, CID([]byte{byte(len(e.Previous))}))
			}
		}),
		"long names": sample(t, func(e *Envelope) {
			e.Broadcast, e.Track = strings.Repeat("z", MaxName), strings.Repeat("a", MaxName)
		}),
		"extensions": sample(t, func(e *Envelope) {
			link := appendCID(nil, CID([]byte("certificate")))
			e.Extensions = []Extension{
				{"k", []byte{0}},
				{"z", []byte{0x38, 99}}, // -100
				{"aa", []byte{cborTrue}},
				{"ab", append([]byte{0x82, cborNull}, link...)},
				{"nest", []byte{0xa2, 0x61, 'b', 0x80, 0x62, 'a', 'a', 0x43, 1, 2, 3}},
				{"float", []byte{cborFloat, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0}},
				{"text", nil}, // set below: sorts before "float"
			}
			e.Extensions[5], e.Extensions[6] = Extension{"text", []byte{0x62, 0xc3, 0xa9}}, e.Extensions[5]
		}),
	}
}

func BenchmarkEnvelope(b *testing.B) {
	media := block(94_000) // 250 ms of 3 Mbit/s
	e := sample(b, func(e *Envelope) { e.SetBlock(media, 0) })
	raw := e.Encode()
	for name, run := range map[string]func(){
		"hash":   func() { e.SetBlock(media, 0) },
		"sign":   func() { _ = e.Sign(testKey) },
		"encode": func() { e.Encode() },
		"decode": func() { _, _ = Decode(raw) },
		"verify": func() { _ = e.Verify() },
		"check fragments and block": func() {
			for i := range e.Fragments {
				lo, hi := e.FragmentRange(i)
				_ = e.CheckFragment(i, media[lo:hi])
			}
			_ = e.CheckBlock(media)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			if name == "hash" || strings.HasPrefix(name, "check") {
				b.SetBytes(int64(len(media)))
			}
			for b.Loop() {
				run()
			}
		})
	}
}
