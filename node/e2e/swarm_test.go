package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"murmuration/node/shim"
)

// swarm is an origin, seeds and a viewer, each a process of its own.
type swarm struct {
	network network
	origin  *process
	seeds   []*process
	viewer  *process

	link   string // the origin's
	server string // RTMP URL without the key
	key    string // stream key
	page   string // the viewer's page, with a slash at its end
}

// newSwarm starts them: seeds know the origin, the viewer knows only the seeds.
func newSwarm(t testing.TB, seeds int, originFlags ...string) *swarm {
	t.Helper()
	s := &swarm{network: newNetwork(t)}
	venue, home := s.network.venue, s.network.home
	s.origin = venue.start(t, "origin", murmur, append([]string{
		"origin", "-v", "--no-mdns", "--listen", "/ip4/" + venue.addr + "/udp/0/quic-v1", "--http", venue.addr + ":0", "--rtmp", venue.addr + ":0",
	}, originFlags...)...)
	s.link = s.origin.expect(t, 15*time.Second, `^(murmur://\S+)$`)
	if !slices.Contains(originFlags, "--input") {
		s.server = s.origin.expect(t, time.Second, `^encoder +server (\S+)`)
		s.key = s.origin.expect(t, time.Second, `stream key (\S+)$`)
	}
	var known []string
	for range seeds {
		seed := start(t, "seed", murmur, "seed", "-v", "--no-mdns", "--http", "127.0.0.1:0",
			"--listen", "/ip4/"+venue.gate+"/udp/0/quic-v1,/ip4/"+home.gate+"/udp/0/quic-v1", s.link)
		s.seeds = append(s.seeds, seed)
		known = append(known, seed.expect(t, 15*time.Second, `^share +'?(murmur://[^' ]+)`))
	}
	s.viewer = home.start(t, "viewer", murmur, "viewer", "-v", "--no-mdns", "--no-open", "--http", home.addr+":0", joinLinks(t, known))
	s.page = s.viewer.expect(t, 15*time.Second, `^page +(http://\S+)`)
	return s
}

// joinLinks makes one link of several for the same channel.
func joinLinks(t testing.TB, links []string) string {
	t.Helper()
	base, _, _ := strings.Cut(links[0], "?")
	var addrs []string
	for _, l := range links {
		u, err := url.Parse(l)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range u.Query()["p"] {
			addrs = append(addrs, "p="+url.QueryEscape(p))
		}
	}
	return base + "?" + strings.Join(addrs, "&")
}

// status reads the viewer's status.
func (s *swarm) status(t testing.TB) shim.Status {
	t.Helper()
	resp, err := http.Get(s.page + "api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status shim.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status
}

// checkRelayed wants the viewer to be fed by seeds only, where the network keeps it from the origin.
func (s *swarm) checkRelayed(t testing.TB) {
	t.Helper()
	if s.network.home.name == "" {
		return
	}
	_, origin, _ := strings.Cut(s.link, "/p2p/")
	origin, _, _ = strings.Cut(origin, "&")
	peers := s.status(t).Peers
	if len(peers) == 0 {
		t.Error("the viewer has no neighbours")
	}
	for _, p := range peers {
		if p.ID == origin {
			t.Errorf("the viewer is connected to the origin, by %s", p.Addr)
		}
	}
}
