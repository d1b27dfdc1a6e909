package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"murmuration/chunker/envelope"
)

var (
	testSecret  = Secret(bytes.Repeat([]byte{9}, SecretSize))
	testChannel = envelope.Channel(bytes.Repeat([]byte{5}, 32))
)

func testTrack() *Track { return New(testSecret, testChannel, "0abc123", "main") }

// expand is HKDF (RFC 5869) written down once more, from HMAC.
func expand(secret []byte, info string) []byte {
	extract := hmac.New(sha256.New, make([]byte, sha256.Size))
	extract.Write(secret)
	first := hmac.New(sha256.New, extract.Sum(nil))
	first.Write(append([]byte(info), 1))
	return first.Sum(nil)
}

// TestFormat holds a sealed block and a sealed init segment against FORMAT.md, step by step.
func TestFormat(t *testing.T) {
	track := testTrack()
	name := string(testChannel[:]) + "0abc123\x00main\x00"
	plain := bytes.Repeat([]byte("moof"), 100)

	number := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 1_790_000_000), 2)
	block, err := aes.NewCipher(expand(testSecret[:], "murmuration seal 1 blocks\x00"+name+string(number)))
	if err != nil {
		t.Fatal(err)
	}
	counter := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 2048+7), 0)
	want := make([]byte, len(plain))
	cipher.NewCTR(block, counter).XORKeyStream(want, plain)
	sealed, key, err := track.SealBlock(1_790_000_000, 2048+7, plain)
	if err != nil || key != (envelope.Key{Scheme: 1, Number: 2}) || !bytes.Equal(sealed, want) {
		t.Errorf("block: %x with %v, %v\nwant %x", sealed, key, err, want)
	}

	mac := hmac.New(sha256.New, expand(testSecret[:], "murmuration seal 1 init iv\x00"+name))
	mac.Write(plain)
	iv := mac.Sum(nil)[:16]
	if block, err = aes.NewCipher(expand(testSecret[:], "murmuration seal 1 init\x00"+name)); err != nil {
		t.Fatal(err)
	}
	cipher.NewCTR(block, iv).XORKeyStream(want, plain)
	init, err := track.SealInit(plain)
	if err != nil || !bytes.Equal(init, append(iv, want...)) {
		t.Errorf("init: %x, %v\nwant %x%x", init, err, iv, want)
	}
}

// TestGolden fixes the bytes that FORMAT.md gives.
func TestGolden(t *testing.T) {
	track := testTrack()
	block, _, err := track.SealBlock(1_790_000_000, 3072, []byte("block"))
	if got := hex.EncodeToString(block); err != nil || got != goldenBlock {
		t.Errorf("block %s, %v", got, err)
	}
	init, err := track.SealInit([]byte("init"))
	if got := hex.EncodeToString(init); err != nil || got != goldenInit {
		t.Errorf("init %s, %v", got, err)
	}
}

const (
	goldenBlock = "ffa5cdf3ca"
	goldenInit  = "b6a9fb00d06cbe3f92d5243c94cdae818e3f3280"
)

func TestThereAndBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	sealing, opening := testTrack(), testTrack()
	for i := range 300 {
		plain := make([]byte, []int{1, 15, 16, 17, 4096, 94_000, envelope.MaxBlock - 1}[i%7])
		for j := 0; j < len(plain); j += 1 + len(plain)/50 {
			plain[j] = byte(rnd.Uint32())
		}
		before := bytes.Clone(plain)
		epoch, seq := rnd.Uint64N(4), rnd.Uint64N(8*ChunksPerKey)
		sealed, key, err := sealing.SealBlock(epoch, seq, plain)
		if err != nil || len(sealed) != len(plain) || !bytes.Equal(plain, before) {
			t.Fatal(len(plain), err)
		}
		got, err := opening.OpenBlock(key, epoch, seq, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatal(len(plain), err)
		}
		if len(plain) > envelope.MaxInit-InitOverhead {
			continue
		}
		init, err := sealing.SealInit(plain)
		if err != nil || len(init) != len(plain)+InitOverhead {
			t.Fatal(len(plain), err)
		}
		if got, err = opening.OpenInit(init); err != nil || !bytes.Equal(got, plain) {
			t.Fatal(len(plain), err)
		}
	}
	if b, key, err := sealing.SealBlock(1, 5000, nil); b != nil || key != KeyOf(5000) || err != nil {
		t.Errorf("an end mark: %x %v %v", b, key, err)
	}
}

// TestNoKeystreamTwice seals zeros, which gives the keystream itself, as everything that differs in one thing.
func TestNoKeystreamTwice(t *testing.T) {
	const size = 64
	zeros := make([]byte, size)
	other := testSecret
	other[31]++
	channel := testChannel
	channel[0]++
	seen := map[string]string{}
	note := func(what string, stream []byte) {
		for at := 0; at+16 <= len(stream); at += 16 {
			piece := string(stream[at:][:16])
			if first, twice := seen[piece]; twice {
				t.Errorf("%s and %s share a piece of keystream", first, what)
			}
			seen[piece] = what
		}
	}
	for name, track := range map[string]*Track{
		"the track":         testTrack(),
		"another secret":    New(other, testChannel, "0abc123", "main"),
		"another channel":   New(testSecret, channel, "0abc123", "main"),
		"another broadcast": New(testSecret, testChannel, "0abc124", "main"),
		"another track":     New(testSecret, testChannel, "0abc123", "de"),
		"names moved":       New(testSecret, testChannel, "0abc123m", "ain"),
	} {
		for _, epoch := range []uint64{0, 1, 1_790_000_000} {
			for _, seq := range []uint64{0, 1, 2, ChunksPerKey - 1, ChunksPerKey, ChunksPerKey + 1, 1 << 40} {
				sealed, _, err := track.SealBlock(epoch, seq, zeros)
				if err != nil {
					t.Fatal(err)
				}
				note(fmt.Sprintf("%s, chunk %d-%d", name, epoch, seq), sealed)
			}
		}
		for n := range 3 {
			init, err := track.SealInit(zeros[:size-n])
			if err != nil {
				t.Fatal(err)
			}
			note(fmt.Sprintf("%s, init %d", name, n), init[InitOverhead:])
		}
	}
}

// TestLargestBlock wants the last bytes of one chunk not to be sealed like the first of another.
func TestLargestBlock(t *testing.T) {
	track := testTrack()
	long, _, err := track.SealBlock(1, 0, make([]byte, envelope.MaxBlock-1))
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := track.SealBlock(1, 1, make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(long, next[:16]) {
		t.Error("counters overlap")
	}
}

func TestRefuses(t *testing.T) {
	track := testTrack()
	for name, key := range map[string]envelope.Key{
		"no scheme": {}, "another scheme": {Scheme: 2}, "another number": {Scheme: 1, Number: 1},
	} {
		if _, err := track.OpenBlock(key, 1, 5, []byte{1}); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := track.SealBlock(1, 1, make([]byte, envelope.MaxBlock)); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
	if _, err := track.OpenBlock(KeyOf(1), 1, 1, make([]byte, envelope.MaxBlock)); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
	for _, n := range []int{0, envelope.MaxInit - InitOverhead + 1} {
		if _, err := track.SealInit(make([]byte, n)); !errors.Is(err, ErrSize) {
			t.Error(n, err)
		}
	}
	init, err := track.SealInit([]byte("ftyp and moov"))
	if err != nil {
		t.Fatal(err)
	}
	other := testSecret
	other[0] ^= 1
	for name, wrong := range map[string]*Track{
		"another secret": New(other, testChannel, "0abc123", "main"), "another track": New(testSecret, testChannel, "0abc123", "de"),
	} {
		if b, err := wrong.OpenInit(init); !errors.Is(err, ErrWrong) || b != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for i := range init {
		wrong := bytes.Clone(init)
		wrong[i] ^= 1
		if _, err := track.OpenInit(wrong); !errors.Is(err, ErrWrong) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, b := range [][]byte{nil, init[:InitOverhead], make([]byte, envelope.MaxInit+1)} {
		if _, err := track.OpenInit(b); !errors.Is(err, ErrWrong) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// TestTogether uses a track from several goroutines, with more keys than are kept.
func TestTogether(t *testing.T) {
	track, plain := testTrack(), []byte("the same block")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range uint64(200) {
				seq := (i*7 + uint64(g)) % 9 * ChunksPerKey
				sealed, key, err := track.SealBlock(1, seq, plain)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := testTrack().OpenBlock(key, 1, seq, sealed); err != nil || !bytes.Equal(got, plain) {
					t.Error(seq, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSecret(t *testing.T) {
	a, err := NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := NewSecret(nil); a == b || a == (Secret{}) {
		t.Error("secrets are not random")
	}
	if _, err := NewSecret(strings.NewReader("short")); err == nil {
		t.Error("a source that ends gives a secret")
	}
	if got, err := ParseSecret(a[:]); err != nil || got != a {
		t.Error(err)
	}
	for _, b := range [][]byte{nil, a[:31], append(bytes.Clone(a[:]), 0), make([]byte, SecretSize)} {
		if _, err := ParseSecret(b); !errors.Is(err, ErrSecret) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	// However it is printed, its bytes do not show.
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", testSecret, "in", struct{ S Secret }{testSecret})
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", testSecret, "in", struct{ S *Secret }{&testSecret})
	text, err := json.Marshal(map[string]any{"s": testSecret})
	if err != nil {
		t.Fatal(err)
	}
	all := logged.String() + string(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		all += fmt.Sprintf(verb+" "+verb, testSecret, struct{ S Secret }{testSecret})
	}
	for _, bad := range []string{"0909", "9 9", "9, 9", "9,9", "0x9", `\t`, "CQkJ", "\t\t"} {
		if strings.Contains(all, bad) {
			t.Errorf("%q shows in %s", bad, all)
		}
	}
}

func FuzzOpen(f *testing.F) {
	track := testTrack()
	init, err := track.SealInit([]byte("init"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(1), uint64(0), uint64(1), uint64(5), init)
	f.Add(uint8(0), uint64(9), uint64(1), uint64(5), []byte{})
	f.Fuzz(func(t *testing.T, scheme uint8, number, epoch, seq uint64, b []byte) {
		got, err := track.OpenBlock(envelope.Key{Scheme: scheme, Number: number}, epoch, seq, b)
		if err == nil {
			again, key, err := track.SealBlock(epoch, seq, got)
			if err != nil || !bytes.Equal(again, b) && len(b) > 0 || key.Number != number || key.Scheme != scheme {
				t.Errorf("%d bytes: sealed again as %v, %v", len(b), key, err)
			}
		}
		if got, err := track.OpenInit(b); err == nil {
			if again, err := track.SealInit(got); err != nil || !bytes.Equal(again, b) {
				t.Errorf("init of %d bytes: sealed again: %v", len(b), err)
			}
		}
		if sealed, err := track.SealInit(b); err == nil {
			if got, err := track.OpenInit(sealed); err != nil || !bytes.Equal(got, b) {
				t.Errorf("init of %d bytes: %v", len(b), err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	track, block := testTrack(), make([]byte, 94_000)
	b.SetBytes(int64(len(block)))
	for i := range uint64(b.N) {
		if _, err := track.OpenBlock(KeyOf(i), 1, i, block); err != nil {
			b.Fatal(err)
		}
	}
}
