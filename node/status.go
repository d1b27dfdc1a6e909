package node

import (
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/shim"
)

// quiet is how long a live broadcast may bring nothing before the page calls it waiting.
const quiet = 3 * time.Second

// status joins what the local face, the mesh and the participant know.
func (p *participant) status() shim.Status {
	s := p.shim.Status()
	m := p.mesh.Status()
	now := time.Now()
	p.mu.Lock()
	channel, title, link := p.channel, p.title, p.link
	p.mu.Unlock()
	s.Version, s.Role, s.PeerID = Version, p.name, m.ID.String()
	s.UptimeS, s.Now = now.Sub(p.started).Seconds(), now.UTC()
	if channel != (envelope.Channel{}) {
		s.Channel, s.Title, s.Link = mesh.ChannelName(channel), title, link.String()
	}
	s.Traffic = shim.TrafficStatus{
		ReceivedBytes: uint64(m.Traffic.Received), SentBytes: uint64(m.Traffic.Sent),
		ReceivedBPS: 8 * m.Traffic.ReceivedBps, SentBPS: 8 * m.Traffic.SentBps,
	}
	s.Peers = make([]shim.PeerStatus, 0, len(m.Peers))
	for _, peer := range m.Peers {
		direction := "out"
		if peer.Inbound {
			direction = "in"
		}
		s.Peers = append(s.Peers, shim.PeerStatus{
			ID: peer.ID.String(), Addr: peer.Addr, Direction: direction, RTTMS: ms(peer.RTT), Mesh: peer.Mesh,
			Agent: peer.Agent, ReceivedBytes: uint64(peer.Received), SentBytes: uint64(peer.Sent),
		})
	}
	for _, b := range p.passedOver() {
		s.Broadcasts = append(s.Broadcasts, shim.BroadcastStatus{
			ID: b.ID, Title: b.Title, State: shim.StateWaiting, Started: b.Started, Private: true, Locked: errNoKey.Error(),
		})
	}
	p.retitled(s.Broadcasts)
	p.library.tell(&s, channel)
	for i := range s.Broadcasts {
		for j := range s.Broadcasts[i].Tracks {
			fillTrack(&s.Broadcasts[i], &s.Broadcasts[i].Tracks[j], m.Tracks, now)
		}
	}
	return s
}

// fillTrack adds what the mesh knows of a track.
func fillTrack(b *shim.BroadcastStatus, t *shim.TrackStatus, tracks []mesh.TrackStatus, now time.Time) {
	for _, m := range tracks {
		if m.ID.Broadcast != b.ID || m.ID.Track != t.Name {
			continue
		}
		t.Chunks = shim.ChunksStatus{
			Received: m.Received, Published: m.Published, Relayed: m.Relayed, Missed: m.Missed, Fetched: m.Fetched,
			Duplicates: m.Duplicates, Rejected: m.Rejected,
		}
		t.Stripes = make([]shim.StripeStatus, 0, len(m.Stripes))
		for _, stripe := range m.Stripes {
			parent := ""
			if stripe.Fed {
				parent = stripe.Parent.String()
			}
			t.Stripes = append(t.Stripes, shim.StripeStatus{Parent: parent, AgeMS: ms(stripe.Age), Children: stripe.Children})
		}
		t.DelayMS = shim.DelayStatus{P50: ms(m.Delay.P50), P95: ms(m.Delay.P95), Max: ms(m.Delay.Max)}
		if t.Name == mainTrack && b.State == shim.StateLive && !m.NewestCaptured.IsZero() && now.Sub(m.NewestCaptured) > quiet {
			b.State = shim.StateWaiting
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
