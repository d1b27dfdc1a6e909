package envelope

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"
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

func TestRoundTrip(t *testing.T) {
	for name, e := range goodEnvelopes(t) {
		t.Run(name, func(t *testing.T) {
			raw := e.Encode()
			got, err := Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Fragments) == 0 {
				e.Fragments = nil
			}
			if !reflect.DeepEqual(got, e) {
				t.Fatalf("got %+v\nwant %+v", got, e)
			}
			if again := got.Encode(); !bytes.Equal(again, raw) {
				t.Fatalf("encoded again: %x\nwant %x", again, raw)
			}
			if err := got.Verify(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestIPLD holds the encoding against an independent implementation of dag-cbor.
func TestIPLD(t *testing.T) {
	for name, e := range goodEnvelopes(t) {
		t.Run(name, func(t *testing.T) { checkIPLD(t, e.Encode()) })
	}
}

func checkIPLD(t *testing.T, raw []byte) {
	t.Helper()
	nb := basicnode.Prototype.Any.NewBuilder()
	if err := dagcbor.Decode(nb, bytes.NewReader(raw)); err != nil {
		t.Fatalf("dagcbor: %v of %x", err, raw)
	}
	var out bytes.Buffer
	if err := dagcbor.Encode(nb.Build(), &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), raw) {
		t.Fatalf("dagcbor encodes %x\nours is %x", out.Bytes(), raw)
	}
}

// TestGolden fixes the bytes of version 1, signature and CID included.
func TestGolden(t *testing.T) {
	e := sample(t, func(e *Envelope) { e.SetBlock([]byte("block"), 0) })
	const wantHead = "9401" // a list of 20, version 1
	raw := e.Encode()
	if got := hex.EncodeToString(raw[:2]); got != wantHead {
		t.Errorf("starts with %s, want %s", got, wantHead)
	}
	if got := hex.EncodeToString(raw[len(raw)-signatureSize:][:2]); got != "5840" {
		t.Errorf("signature starts with %s", got)
	}
	if got, want := CID(raw).String(), goldenCID; got != want {
		t.Errorf("CID %s, want %s; encoding %x", got, want, raw)
	}
	if got, want := RawCID(nil).String(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"; got != want {
		t.Errorf("CID of nothing %s, want %s", got, want)
	}
}

// TestGoldenSealed fixes the bytes of version 2.
func TestGoldenSealed(t *testing.T) {
	raw := sample(t, func(e *Envelope) {
		e.SetBlock([]byte("block"), 0)
		e.Key = Key{Scheme: 1, Number: 3}
	}).Encode()
	if got, want := CID(raw).String(), goldenSealedCID; got != want {
		t.Errorf("CID %s, want %s; encoding %x", got, want, raw)
	}
}

const goldenSealedCID = "bafyreibphafvehk5fo7cdvxxbkel6fil3enr56gqo5v2bkxav5nncb36ga"

const goldenCID = "bafyreiepqltn2oew2kandaj62rhlh4awoia2van2hftqx4fzrtuk4squ7m"

func TestVerify(t *testing.T) {
	e := sample(t, func(e *Envelope) {
		e.Key = Key{Scheme: 1, Number: 3}
		e.Extensions = []Extension{{"key", []byte{5}}}
	})
	if err := e.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Envelope){
		"channel":       func(e *Envelope) { e.Channel[3] ^= 1 },
		"broadcast":     func(e *Envelope) { e.Broadcast = "1abc123" },
		"seq":           func(e *Envelope) { e.Seq++ },
		"flags":         func(e *Envelope) { e.Flags |= Discontinuity },
		"fragments":     func(e *Envelope) { e.Fragments[2][0] ^= 1 },
		"key number":    func(e *Envelope) { e.Key.Number++ },
		"no key":        func(e *Envelope) { e.Key = Key{} },
		"extension":     func(e *Envelope) { e.Extensions[0].Value = []byte{6} },
		"extension key": func(e *Envelope) { e.Extensions[0].Key = "kez" },
		"signature":     func(e *Envelope) { e.Signature[9] ^= 1 },
	} {
		c, err := Decode(e.Encode())
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		if err := c.Verify(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	// A signature over the bytes without the domain must not do.
	c := *e
	copy(c.Signature[:], ed25519.Sign(testKey, e.appendUnsigned(nil)))
	if err := c.Verify(); !errors.Is(err, ErrSignature) {
		t.Errorf("signed without domain: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	if err := new(Envelope).Sign(nil); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
	for name, change := range map[string]func(*Envelope){
		"broadcast empty":        func(e *Envelope) { e.Broadcast = "" },
		"track with a slash":     func(e *Envelope) { e.Track = "a/b" },
		"seq too large":          func(e *Envelope) { e.Seq = MaxInteger + 1 },
		"no timescale":           func(e *Envelope) { e.Timescale = 0 },
		"no part target":         func(e *Envelope) { e.PartTarget = 0 },
		"longer than its target": func(e *Envelope) { e.Duration = e.PartTarget + 1 },
		"no duration":            func(e *Envelope) { e.Duration = 0 },
		"captured before 1970":   func(e *Envelope) { e.Captured = time.Time{} },
		"no init":                func(e *Envelope) { e.Init = cid.Undef },
		"init not raw":           func(e *Envelope) { e.Init = CID(nil) },
		"no block":               func(e *Envelope) { e.Block = cid.Undef },
		"block too large":        func(e *Envelope) { e.SetBlock(block(MaxBlock), 0) },
		"empty block":            func(e *Envelope) { e.SetBlock(nil, 0) },
		"end with a block":       func(e *Envelope) { e.Flags |= End },
		"no fragment size":       func(e *Envelope) { e.FragmentSize = 0 },
		"fragments too small":    func(e *Envelope) { e.SetBlock(block(10_000), MinFragment-1) },
		"a fragment too few":     func(e *Envelope) { e.Fragments = e.Fragments[1:] },
		"a fragment too many":    func(e *Envelope) { e.Fragments = append(e.Fragments, [HashSize]byte{}) },
		"too many fragments": func(e *Envelope) {
			e.SetBlock(block(MaxBlock-1), MinFragment)
		},
		"links before the start": func(e *Envelope) { e.Seq = 7 },
		"too many links": func(e *Envelope) {
			e.Previous = append(e.Previous, append(e.Previous, e.Previous...)...)
		},
		"link to a raw block":         func(e *Envelope) { e.Previous[1] = e.Block },
		"extension keys out of order": func(e *Envelope) { e.Extensions = []Extension{{"aa", []byte{0}}, {"b", []byte{0}}} },
		"extension key twice":         func(e *Envelope) { e.Extensions = []Extension{{"a", []byte{0}}, {"a", []byte{0}}} },
		"extension of no item":        func(e *Envelope) { e.Extensions = []Extension{{"a", nil}} },
		"extension of two items":      func(e *Envelope) { e.Extensions = []Extension{{"a", []byte{0, 0}}} },
		"extension too large": func(e *Envelope) {
			e.Extensions = []Extension{{"a", appendBytes(nil, make([]byte, MaxEncoded))}}
		},
		"too many extensions": func(e *Envelope) {
			for i := range MaxExtensions + 1 {
				e.Extensions = append(e.Extensions, Extension{fmt.Sprintf("%02d", i), []byte{0}})
			}
		},
	} {
		e := sample(t, nil)
		change(e)
		if err := e.Sign(testKey); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExtensionValues(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x81}, maxDepth+1), 0)
	for name, value := range map[string][]byte{
		"not the shortest integer":  {0x18, 23},
		"not the shortest length":   {0x58, 1, 0},
		"indefinite list":           {0x9f, 0xff},
		"reserved head":             {0x1c},
		"undefined":                 {0xf7},
		"half float":                {0xf9, 0x3c, 0},
		"not a number":              {cborFloat, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0},
		"infinity":                  {cborFloat, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0},
		"text that is not UTF-8":    {0x61, 0xff},
		"map keys out of order":     {0xa2, 0x61, 'b', 0, 0x61, 'a', 0},
		"map key twice":             {0xa2, 0x61, 'a', 0, 0x61, 'a', 0},
		"map key not text":          {0xa1, 0, 0},
		"another tag":               {0xc1, 0},
		"link without zero":         {0xd8, 42, 0x41, 1},
		"link to nothing":           {0xd8, 42, 0x42, 0, 1},
		"integer over 2^53":         {0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0},
		"length over what is there": {0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"list over what is there":   {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"nested too deep":           deep,
	} {
		e := sample(t, nil)
		e.Extensions = []Extension{{"a", value}}
		if err := e.Sign(testKey); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	raw := sample(t, nil).Encode()
	for i := range raw {
		if _, err := Decode(raw[:i]); !errors.Is(err, ErrFormat) {
			t.Fatalf("first %d bytes: %v", i, err)
		}
	}
	if _, err := Decode(append(bytes.Clone(raw), 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte more: %v", err)
	}
	for version, want := range map[byte]error{0: ErrVersion, 2: ErrFormat, 3: ErrVersion} { // 2 has another length
		other := bytes.Clone(raw)
		other[1] = version
		if _, err := Decode(other); !errors.Is(err, want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	if _, err := Decode(make([]byte, MaxEncoded+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

// TestDecodeRefusesKeys changes the key of a sealed envelope, which stands before the empty map of extensions.
func TestDecodeRefusesKeys(t *testing.T) {
	raw := sample(t, func(e *Envelope) { e.Key = Key{Scheme: 1, Number: 3} }).Encode()
	at := len(raw) - signatureSize - 4
	if got := hex.EncodeToString(raw[at:][:4]); raw[0] != 0x95 || raw[1] != 2 || got != "820103a0" {
		t.Fatalf("the key is %s in %x", got, raw)
	}
	for name, key := range map[string][]byte{
		"scheme 0":                    {0x82, 0, 3},
		"scheme of two bytes":         {0x82, 0x18, 24, 3},
		"scheme not the shortest":     {0x82, 0x18, 1, 3},
		"number not the shortest":     {0x82, 1, 0x18, 3},
		"number over 2^53":            {0x82, 1, 0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0},
		"negative number":             {0x82, 1, 0x20},
		"no number":                   {0x81, 1},
		"another element":             {0x83, 1, 3, 0},
		"a map":                       {0xa1, 1, 3},
		"nothing":                     {},
		"null":                        {cborNull},
		"length over what is there":   {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"number of indefinite length": {0x9f, 1, 3, 0xff},
	} {
		other := append(append(bytes.Clone(raw[:at]), key...), raw[at+3:]...)
		if _, err := Decode(other); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := bytes.Clone(raw)
	plain[0], plain[1] = 0x94, 1
	if _, err := Decode(plain); !errors.Is(err, ErrFormat) {
		t.Errorf("as version 1: %v", err)
	}
}

func TestCheckBytes(t *testing.T) {
	b := block(20_000)
	e := sample(t, func(e *Envelope) { e.SetBlock(b, 0) })
	if err := e.CheckBlock(b); err != nil {
		t.Error(err)
	}
	wrong := bytes.Clone(b)
	wrong[17_000] ^= 1
	for _, w := range [][]byte{wrong, b[1:], nil, append(bytes.Clone(b), 0)} {
		if err := e.CheckBlock(w); !errors.Is(err, ErrBlock) {
			t.Errorf("%d bytes: %v", len(w), err)
		}
	}
	if len(e.Fragments) != 3 {
		t.Fatalf("%d fragments", len(e.Fragments))
	}
	for i := range e.Fragments {
		lo, hi := e.FragmentRange(i)
		if err := e.CheckFragment(i, b[lo:hi]); err != nil {
			t.Error(err)
		}
		if err := e.CheckFragment(i, b[lo:hi-1]); !errors.Is(err, ErrFragment) {
			t.Errorf("short fragment %d: %v", i, err)
		}
		if err := e.CheckFragment(i, wrong[lo:hi]); errors.Is(err, ErrFragment) != (i == 2) {
			t.Errorf("wrong fragment %d: %v", i, err)
		}
	}
	for _, i := range []int{-1, 3, math.MaxInt} {
		if err := e.CheckFragment(i, nil); !errors.Is(err, ErrFragment) {
			t.Errorf("fragment %d: %v", i, err)
		}
	}
	if err := e.CheckInit([]byte("init")); err != nil {
		t.Error(err)
	}
	for _, w := range [][]byte{nil, []byte("inix"), make([]byte, MaxInit+1)} {
		if err := e.CheckInit(w); !errors.Is(err, ErrInit) {
			t.Errorf("init: %v", err)
		}
	}
	if err := new(Envelope).CheckFragment(0, nil); !errors.Is(err, ErrFragment) {
		t.Errorf("zero envelope: %v", err)
	}
}

func TestIDs(t *testing.T) {
	a, b, c := ID{1, 900}, ID{2, 0}, ID{2, 1}
	if !a.Less(b) || !b.Less(c) || b.Less(a) || c.Less(b) || a.Less(a) {
		t.Error("order of ids")
	}
	if got := c.String(); got != "2-1" {
		t.Error(got)
	}
	e := Envelope{Timescale: 90000, DecodeTime: 90000 * 3, Duration: 22500, PartTarget: 24030}
	if e.Time() != 3*time.Second || e.DurationTime() != 250*time.Millisecond || e.PartTargetTime() != 267*time.Millisecond {
		t.Error(e.Time(), e.DurationTime(), e.PartTargetTime())
	}
	e.Timescale, e.DecodeTime = 1, MaxInteger
	if e.Time() != math.MaxInt64 {
		t.Error(e.Time())
	}
	if new(Envelope).Time() != 0 {
		t.Error("zero envelope")
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"main": true, "0": true, "a-b": true, strings.Repeat("a", MaxName): true,
		"": false, "-a": false, "A": false, "a b": false, "a/b": false, "..": false, "é": false,
		strings.Repeat("a", MaxName+1): false,
	} {
		if err := CheckName(name); (err == nil) != good || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	start := time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)
	last := ""
	for i := range 1000 {
		id := NewBroadcastID(start.Add(time.Duration(i)*time.Millisecond), nil)
		if err := CheckName(id); err != nil || len(id) != 16 || id <= last {
			t.Fatal(id, last, err)
		}
		last = id
	}
	if a, b := NewBroadcastID(start, nil), NewBroadcastID(start, nil); a == b {
		t.Error("two broadcasts of one millisecond have one id")
	}
	if a, b := NewBroadcastID(start, strings.NewReader("12345678")), NewBroadcastID(start, strings.NewReader("12345678")); a != b {
		t.Error("the id does not follow the random source")
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range goodEnvelopes(f) {
		f.Add(e.Encode())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		if again := e.Encode(); !bytes.Equal(again, raw) {
			t.Fatalf("encodes to %x\nwas %x", again, raw)
		}
		checkIPLD(t, raw)
		_ = e.Verify()
		_ = e.CheckFragment(len(e.Fragments)-1, raw)
	})
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
