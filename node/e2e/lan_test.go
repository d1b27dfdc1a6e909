package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestLAN gives a viewer a link without any address: it finds the origin on the local network by mDNS.
func TestLAN(t *testing.T) {
	net := newNetwork(t)
	if net.venue.name == "" {
		t.Log("multicast on loopback is not what a LAN is: only a link with addresses can be tried here")
		return
	}
	origin := net.venue.start(t, "origin", murmur, "origin", "-v", "--listen", "/ip4/"+net.venue.addr+"/udp/0/quic-v1", "--http", net.venue.addr+":0", "--input", "test")
	link := origin.expect(t, 15*time.Second, `^(murmur://\S+)$`)
	bare, _, _ := strings.Cut(link, "?")
	viewer := start(t, "viewer", murmur, "viewer", "-v", "--no-open", "--http", "127.0.0.1:0", "--listen", "/ip4/"+net.venue.gate+"/udp/0/quic-v1", bare)
	viewer.expect(t, 30*time.Second, `first chunk`)
}
