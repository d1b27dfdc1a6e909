package envelope

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"
)

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
