package mesh

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

var (
	linkChannel = ChannelName(testTrack.Channel)
	linkPeer    = ChannelName(ChannelOf(otherKey)) // any peer ID
)

func TestParseLink(t *testing.T) {
	addr := "/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" + linkPeer
	for s, want := range map[string]string{ // what it is written as again
		"murmur://" + linkChannel:                                                "",
		" murmur://" + linkChannel + "/ \n":                                      "murmur://" + linkChannel,
		"MURMUR://" + linkChannel + "/0abc":                                      "murmur://" + linkChannel + "/0abc",
		"murmur://" + linkChannel + "/0abc?p=" + addr:                            "",
		"murmur://" + linkChannel + "?p=" + addr:                                 "",
		"murmur://" + linkChannel + "/?p=" + addr + "&later=1&":                  "murmur://" + linkChannel + "?p=" + addr,
		"murmur://" + linkChannel + "?p=" + addr + "&p=" + addr:                  "murmur://" + linkChannel + "?p=" + addr,
		"murmur://" + linkChannel + "?p=%2Fp2p%2F" + linkPeer:                    "murmur://" + linkChannel + "?p=/p2p/" + linkPeer,
		"murmur://" + linkChannel + "?p=/dns4/a.example/tcp/443/p2p/" + linkPeer: "",
	} {
		l, err := ParseLink(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if want == "" {
			want = s
		}
		if l.Channel != testTrack.Channel || l.String() != want {
			t.Errorf("%s\n  became %s", s, l)
		}
	}
}

func TestParseLinkErrors(t *testing.T) {
	many := "murmur://" + linkChannel + "?"
	for i := range maxLinkAddrs + 1 {
		many += fmt.Sprintf("p=/ip4/192.0.2.%d/tcp/1/p2p/%s&", i, linkPeer)
	}
	key := "k=" + strings.Repeat("A", 43)
	for s, says := range map[string]string{
		"murmur://" + linkChannel + "?" + key:                               "names no broadcast",
		"murmur://" + linkChannel + "/?" + key:                              "names no broadcast",
		"murmur://" + linkChannel + "/0abc?" + key + "&" + key:              "two keys",
		"murmur://" + linkChannel + "/0abc?k=":                              "0 characters",
		"murmur://" + linkChannel + "/0abc?k":                               "0 characters",
		"murmur://" + linkChannel + "/0abc?" + key + "=":                    "44 characters",
		"murmur://" + linkChannel + "/0abc?" + key[:44]:                     "42 characters",
		"murmur://" + linkChannel + "/0abc?" + key[:44] + "B":               "is not one", // bits that mean nothing
		"murmur://" + linkChannel + "/0abc?" + key[:44] + "+":               "is not one",
		"murmur://" + linkChannel + "/0abc?" + key[:44] + "\n":              "42 characters",
		"murmur://" + linkChannel + "/0abc?" + key[:40] + "\nAAAA":          "is not one",
		"murmur://" + linkChannel + "/0abc?k=%41" + strings.Repeat("A", 40): "is not one",
		"":                      "empty",
		"https://example.org":   "does not start with murmur://",
		"murmur:" + linkChannel: "does not start with murmur://",
		"murmur://":             "channel is missing",
		"murmur:///0abc":        "channel is missing",
		"murmur://nobody":       "nobody",
		"murmur://QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N":      "Ed25519",
		"murmur://" + linkChannel + "/Big":                             `"Big"`,
		"murmur://" + linkChannel + "/a/b":                             `"a/b"`,
		"murmur://" + linkChannel + "#x":                               "fragment",
		"murmur://" + linkChannel + "?p=%zz":                           "badly escaped",
		"murmur://" + linkChannel + "?p=hello":                         "not a multiaddr",
		"murmur://" + linkChannel + "?p=/ip4/192.0.2.1/tcp/1":          "does not end in /p2p/",
		"murmur://" + linkChannel + "?" + strings.Repeat("x", maxLink): "bytes",
		many: "more than 32",
	} {
		_, err := ParseLink(s)
		if !errors.Is(err, ErrLink) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "a link looks like murmur://") {
			t.Errorf("%.60s: %v", s, err)
		}
	}
}

// TestLinkRoundTrip: random links come back as they were.
func TestLinkRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	key := func() ed25519.PrivateKey {
		seed := make([]byte, ed25519.SeedSize)
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		return ed25519.NewKeyFromSeed(seed)
	}
	forms := []string{
		"/ip4/%d.%d.%d.1/udp/4001/quic-v1", "/ip4/%d.%d.%d.2/tcp/4001", "/ip6/2001:db8::%d/udp/%d/quic-v1",
		"/dns4/h%d-%d-%d.example.org/udp/443/quic-v1/webtransport", "/ip4/%d.%d.%d.3/tcp/443/tls/sni/x.example/ws",
	}
	for range 500 {
		l := Link{Channel: ChannelOf(key())}
		if rng.IntN(2) == 0 {
			l.Broadcast = fmt.Sprintf("0%x", rng.Uint64())
		}
		for range rng.IntN(4) {
			info := peer.AddrInfo{ID: ChannelID(ChannelOf(key()))}
			for range 1 + rng.IntN(3) {
				f := forms[rng.IntN(len(forms))]
				args := []any{1 + rng.IntN(250), 1 + rng.IntN(250), 1 + rng.IntN(250)}[:strings.Count(f, "%d")]
				a := multiaddr.StringCast(fmt.Sprintf(f, args...))
				if !multiaddr.Contains(info.Addrs, a) {
					info.Addrs = append(info.Addrs, a)
				}
			}
			l.Peers = append(l.Peers, info)
		}
		if l.Broadcast != "" && rng.IntN(2) == 0 {
			l.Key = make(LinkKey, LinkKeySize)
			for i := range l.Key {
				l.Key[i] = byte(rng.Uint32())
			}
		}
		got, err := ParseLink(l.WithKey())
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if got.WithKey() != l.WithKey() || !bytes.Equal(got.Key, l.Key) {
			t.Fatalf("%s\nbecame %s", l.WithKey(), got.WithKey())
		}
		if bare, err := ParseLink(l.String()); err != nil || len(bare.Key) > 0 || bare.WithKey() != l.String() {
			t.Fatalf("%s without its key: %s, %v", l, bare.WithKey(), err)
		}
		if got.String() != l.String() || got.Channel != l.Channel || got.Broadcast != l.Broadcast || !reflect.DeepEqual(texts(got), texts(l)) {
			t.Fatalf("%s\nbecame %s", l, got)
		}
	}
}

func texts(l Link) []string {
	var s []string
	for _, p := range l.Peers {
		s = append(s, p.String())
	}
	return s
}

// TestLinkKeyUnsaid: however a link is printed, its key does not show.
func TestLinkKeyUnsaid(t *testing.T) {
	l, err := ParseLink("murmur://" + linkChannel + "/0abc?k=" + strings.Repeat("Nzc3", 10) + "Nzc")
	if err != nil {
		t.Fatal(err)
	}
	if want := l.String() + "?k=" + strings.Repeat("Nzc3", 10) + "Nzc"; l.WithKey() != want {
		t.Errorf("%s, want %s", l.WithKey(), want)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "link", l, "key", l.Key)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "link", l, "in", []Link{l})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, l.Key, struct{ K LinkKey }{l.Key}, []Link{l})
	}
	for _, bad := range []string{"Nzc3", "7777", "3737", "55 55", "55, 55", "0x37"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q shows in %s", bad, &out)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("murmur://" + linkChannel + "/0abc?p=/p2p/" + linkPeer + "&k=" + strings.Repeat("A", 43))
	f.Add("murmur://" + linkChannel + "/0abc?p=/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" + linkPeer)
	f.Add("murmur://" + linkChannel + "?p=%2Fp2p%2F" + linkPeer)
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLink(s)
		if err != nil {
			return
		}
		again, err := ParseLink(l.WithKey())
		if err != nil || again.WithKey() != l.WithKey() {
			t.Fatalf("%q became %q, then %q, %v", s, l, again, err)
		}
	})
}
