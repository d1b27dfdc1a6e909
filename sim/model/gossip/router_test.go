package gossip

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// subscribe makes peers neighbours of a router that have said hello.
func subscribe(r *Router, outbound int, peers ...Peer) {
	for i, p := range peers {
		r.Up(0, p, i < outbound)
		r.Receive(0, p, &RPC{Subscribe: true})
		drain(r, p)
	}
}

// drain takes all that waits for a neighbour.
func drain(r *Router, p Peer) []*RPC {
	var out []*RPC
	for rpc := r.Next(p); rpc != nil; rpc = r.Next(p) {
		out = append(out, rpc)
	}
	return out
}

func peers(n int) []Peer {
	var out []Peer
	for i := range n {
		out = append(out, Peer(i+1))
	}
	return out
}

func chunk(id ID) Message { return Message{ID: id, Size: 94_000} }

// TestMeshSize: the heartbeat grafts up to D below Dlo, prunes down to D from Dhi on, and keeps Dout outbound links.
func TestMeshSize(t *testing.T) {
	for _, x := range []struct {
		name            string
		known, outbound int // neighbours
		grafted         int // that graft us
		want            int
	}{
		{"alone", 0, 0, 0, 0},
		{"few", 3, 3, 0, 3},
		{"many", 30, 15, 0, 6},
		{"enough", 30, 15, 5, 5},
		{"some more", 30, 15, 11, 11},
		{"too many", 30, 15, 12, 6},
		{"inbound only grafts", 30, 2, 5, 5},
	} {
		r := New(Config{Seed: 7})
		all := peers(x.known)
		subscribe(r, x.outbound, all...)
		for _, p := range all[:x.grafted] {
			r.Receive(0, p, &RPC{Graft: true, control: true})
		}
		r.Heartbeat(time.Second)
		mesh := slices.Collect(r.Mesh)
		if len(mesh) != x.want {
			t.Errorf("%s: %d in the mesh, want %d", x.name, len(mesh), x.want)
		}
		for _, p := range all {
			said := drain(r, p)
			graft, prune := false, false
			for _, rpc := range said {
				graft, prune = graft || rpc.Graft, prune || rpc.Prune
			}
			in := slices.Contains(mesh, p)
			if had := int(p) <= x.grafted; graft != (in && !had) || prune != (had && !in) {
				t.Errorf("%s: peer %d, in the mesh %v, was told graft %v prune %v", x.name, p, in, graft, prune)
			}
		}
	}
}

// TestOutboundQuota: of a mesh of inbound links two give way to outbound ones.
func TestOutboundQuota(t *testing.T) {
	for seed := range uint64(20) {
		r := New(Config{Seed: seed})
		subscribe(r, 2, peers(30)...) // 1 and 2 are outbound
		for _, p := range peers(30)[2:14] {
			r.Receive(0, p, &RPC{Graft: true, control: true})
		}
		r.Heartbeat(time.Second)
		if r.outbound() < 2 {
			t.Errorf("seed %d: %d outbound links in the mesh", seed, r.outbound())
		}
	}
}

// TestGraft: an inbound peer that grafts a full mesh, or within its backoff, is pruned; one that we dialled is not.
func TestGraft(t *testing.T) {
	r := New(Config{})
	subscribe(r, 1, peers(14)...)
	for _, p := range peers(13)[1:] {
		r.Receive(0, p, &RPC{Graft: true, control: true})
	}
	pruned := func(now time.Duration, p Peer) bool {
		r.Receive(now, p, &RPC{Graft: true, control: true})
		out := drain(r, p)
		return len(out) == 1 && out[0].Prune
	}
	if !pruned(0, 14) || pruned(0, 1) {
		t.Error("a full mesh takes the inbound peer, or not the outbound one")
	}
	r.Receive(0, 1, &RPC{Prune: true, control: true})
	if !pruned(59*time.Second, 1) {
		t.Error("a backoff of a minute is over after 59 s")
	}
	if pruned(59*time.Second+61*time.Second, 1) {
		t.Error("the refreshed backoff is not over after a minute")
	}
}

// TestPush: a message goes once to the mesh but for its sender and those that do not want it, after the IDONTWANT that
// overtakes all that waits.
func TestPush(t *testing.T) {
	r := New(Config{})
	subscribe(r, 4, peers(4)...)
	r.Heartbeat(0)
	for _, p := range peers(4) {
		drain(r, p)
	}
	r.Publish(0, chunk(1)) // something that waits
	r.Receive(0, 2, &RPC{IDontWant: []ID{2}, control: true})
	acts := r.Receive(0, 1, &RPC{Publish: []Message{chunk(2)}})
	if len(acts) == 0 || acts[0].Kind != Deliver || acts[0].Peer != 1 || acts[0].Message.ID != 2 {
		t.Fatalf("%+v", acts)
	}
	for p, want := range map[Peer][]ID{1: {1}, 2: {1}, 3: {1, 2}, 4: {1, 2}} {
		var got []ID
		for i, rpc := range drain(r, p) {
			if len(rpc.IDontWant) > 0 && i > 0 {
				t.Errorf("IDONTWANT to %d came after %d others", p, i)
			}
			for _, m := range rpc.Publish {
				got = append(got, m.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("to %d: %v, want %v", p, got, want)
		}
	}
	r.Receive(0, 3, &RPC{Publish: []Message{chunk(2)}})
	if s := r.Stats(); s.Duplicates != 1 || s.Messages != 1 || s.Spared != 1 {
		t.Errorf("%+v", s)
	}
	if r.Receive(0, 4, &RPC{Publish: []Message{{ID: 3, Size: 100}}}); len(drain(r, 1)[0].IDontWant) > 0 {
		t.Error("IDONTWANT for a small message")
	}
}

// TestIDontWantExpires after three heartbeats.
func TestIDontWantExpires(t *testing.T) {
	r := New(Config{})
	subscribe(r, 1, 1)
	r.Heartbeat(0)
	r.Receive(0, 1, &RPC{IDontWant: []ID{1, 2}, control: true})
	r.Heartbeat(1)
	r.Heartbeat(2)
	r.Publish(3, chunk(1))
	r.Heartbeat(3)
	r.Publish(4, chunk(2))
	var got []ID
	for _, rpc := range drain(r, 1) {
		for _, m := range rpc.Publish {
			got = append(got, m.ID)
		}
	}
	if !slices.Equal(got, []ID{2}) {
		t.Errorf("sent %v", got)
	}
}

// TestGossip: who is outside of the mesh hears of the last three windows, asks for what it has not seen, and gets it at
// most three times and for five windows.
func TestGossip(t *testing.T) {
	r := New(Config{})
	subscribe(r, 20, peers(50)...)
	r.Heartbeat(0)
	mesh := slices.Collect(r.Mesh)
	r.Publish(0, chunk(1))
	for beat, want := range []bool{true, true, true, false, false} {
		for _, p := range peers(50) {
			drain(r, p)
		}
		r.Heartbeat(time.Duration(beat+1) * time.Second)
		told := 0
		for _, p := range peers(50) {
			for _, rpc := range drain(r, p) {
				if len(rpc.IHave) > 0 {
					told++
					if slices.Contains(mesh, p) || !slices.Equal(rpc.IHave, []ID{1}) {
						t.Errorf("peer %d is told %v", p, rpc.IHave)
					}
				}
			}
		}
		if (told == 11) != want || told != 0 && !want { // a quarter of 44
			t.Errorf("after %d heartbeats %d peers are told", beat+1, told)
		}
		if beat > 2 {
			continue
		}
		r.Receive(0, 50, &RPC{IWant: []ID{1, 9}, control: true})
		if out := drain(r, 50); len(out) != 1 || len(out[0].Publish) != 1 || !out[0].Publish[0].Answer {
			t.Errorf("IWANT %d is answered with %+v", beat, out)
		}
	}
	r.Receive(0, 50, &RPC{IWant: []ID{1}, control: true})
	if out := drain(r, 50); len(out) > 0 {
		t.Error("asked a fourth time, it answers")
	}
	r.Receive(0, 49, &RPC{IWant: []ID{1}, control: true})
	if out := drain(r, 49); len(out) > 0 {
		t.Error("it answers after five windows")
	}

	r.Receive(0, 3, &RPC{IHave: []ID{1, 5, 6}, control: true})
	out := drain(r, 3)
	if len(out) != 1 || len(out[0].IWant) != 2 || slices.Contains(out[0].IWant, 1) {
		t.Errorf("IHAVE of one seen and two unseen is answered with %+v", out)
	}
	for range 20 {
		r.Receive(0, 3, &RPC{IHave: []ID{7}, control: true})
	}
	if n := len(drain(r, 3)); n != 9 {
		t.Errorf("of 20 further IHAVEs in a heartbeat %d are answered", n)
	}
}

// TestQueue: 32 RPCs wait for a neighbour, and what comes then is lost; but GRAFT is tried again.
func TestQueue(t *testing.T) {
	r := New(Config{})
	subscribe(r, 1, 1)
	r.Heartbeat(0)
	for i := range 40 {
		r.Publish(0, chunk(ID(i)))
	}
	if s := r.Stats(); s.Dropped != 9 { // the GRAFT waits, too
		t.Errorf("dropped %d", s.Dropped)
	}
	if n := len(drain(r, 1)); n != 32 {
		t.Errorf("%d waited", n)
	}

	r = New(Config{})
	r.Up(0, 1, true)
	r.Receive(0, 1, &RPC{Subscribe: true})
	r.by[1].mesh = true
	for i := range 40 {
		r.Publish(0, chunk(ID(i)))
	}
	r.by[1].mesh = false
	r.Heartbeat(0)
	for _, rpc := range drain(r, 1) {
		if rpc.Graft {
			t.Fatal("there was room for the GRAFT")
		}
	}
	r.Heartbeat(time.Second)
	if out := drain(r, 1); len(out) == 0 || !out[0].Graft {
		t.Errorf("GRAFT is not tried again: %+v", out)
	}
}

// TestSplit: an answer larger than the largest RPC goes in several.
func TestSplit(t *testing.T) {
	whole := &RPC{IWant: []ID{1}, control: true}
	for i := range 12 {
		whole.Publish = append(whole.Publish, Message{ID: ID(i), Size: 300_000})
	}
	var ids []ID
	parts := whole.split(2 << 20)
	for _, p := range parts {
		if p.Size() > 2<<20 {
			t.Errorf("a part of %d bytes", p.Size())
		}
		for _, m := range p.Publish {
			ids = append(ids, m.ID)
		}
	}
	if len(parts) != 3 || len(ids) != 12 || len(parts[2].IWant) != 1 {
		t.Errorf("%d parts with %v", len(parts), ids)
	}
}

// TestEverybodyGetsEverything, whatever the graph and the order of what is under way, as long as queues do not overflow.
func TestEverybodyGetsEverything(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const nodes, chunks = 40, 20
		routers := make([]*Router, nodes)
		got := make([]map[ID]bool, nodes)
		links := make([][]Peer, nodes)
		for i := range routers {
			routers[i], got[i] = New(Config{Seed: seed<<8 | uint64(i)}), map[ID]bool{}
		}
		now := time.Duration(0)
		note := func(i int, acts []Action) {
			for _, a := range acts {
				if a.Kind == Deliver {
					if got[i][a.Message.ID] {
						t.Fatalf("%d is delivered twice to %d", a.Message.ID, i)
					}
					got[i][a.Message.ID] = true
				}
			}
		}
		for i := range routers { // a ring, and some at random
			for _, j := range []int{(i + 1) % nodes, rng.IntN(nodes), rng.IntN(nodes)} {
				if i != j && !slices.Contains(links[i], Peer(j)) {
					routers[i].Up(now, Peer(j), true)
					routers[j].Up(now, Peer(i), false)
					links[i], links[j] = append(links[i], Peer(j)), append(links[j], Peer(i))
				}
			}
		}
		exchange := func() {
			for busy := true; busy; {
				busy = false
				for _, i := range rng.Perm(nodes) {
					for _, k := range rng.Perm(len(links[i])) {
						if rpc := routers[i].Next(links[i][k]); rpc != nil {
							busy = true
							note(int(links[i][k]), routers[links[i][k]].Receive(now, Peer(i), rpc))
						}
					}
				}
			}
		}
		for beat := range chunks + 8 {
			exchange()
			for i := range routers {
				note(i, routers[i].Heartbeat(now))
			}
			exchange()
			if beat >= 3 && beat < chunks+3 {
				note(0, routers[0].Publish(now, chunk(ID(beat))))
			}
			now += time.Second
		}
		for i := 1; i < nodes; i++ {
			if len(got[i]) != chunks {
				t.Errorf("seed %d: node %d has %d of %d messages", seed, i, len(got[i]), chunks)
			}
		}
	}
}
