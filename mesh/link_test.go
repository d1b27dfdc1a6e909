package mesh

import (
	"crypto/ed25519"
	"errors"
	"fmt"
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
	for s, says := range map[string]string{
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
		got, err := ParseLink(l.String())
		if err != nil {
			t.Fatalf("%s: %v", l, err)
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

func FuzzParseLink(f *testing.F) {
	f.Add("murmur://" + linkChannel + "/0abc?p=/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" + linkPeer)
	f.Add("murmur://" + linkChannel + "?p=%2Fp2p%2F" + linkPeer)
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLink(s)
		if err != nil {
			return
		}
		again, err := ParseLink(l.String())
		if err != nil || again.String() != l.String() {
			t.Fatalf("%q became %q, then %q, %v", s, l, again, err)
		}
	})
}
