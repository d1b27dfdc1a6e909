package shim

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/node/internal/pipes"
)

// rig is a served Server with a client, in a synctest bubble.
type rig struct {
	*Server
	t      *testing.T
	base   string // such as http://127.0.0.1:8480
	client *http.Client
	stop   context.CancelFunc
}

// newRig serves until the test's bubble is to end: call stop at its end, after what else closes connections.
func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	p := pipes.Listen()
	cfg.Listener = p
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	client := &http.Client{Transport: &http.Transport{DialContext: p.Dial, DisableCompression: true}}
	return &rig{Server: s, t: t, base: strings.TrimSuffix(s.LocalURL(), "/"), client: client, stop: func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
	}}
}

// answer is what came back, and how long it took.
type answer struct {
	code   int
	header http.Header
	body   string
	took   time.Duration
}

func (r *rig) get(path string, header ...string) answer {
	r.t.Helper()
	return r.do(context.Background(), http.MethodGet, path, header...)
}

func (r *rig) do(ctx context.Context, method, path string, header ...string) answer {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, nil)
	if err != nil {
		r.t.Error(err)
		return answer{}
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return answer{took: time.Since(began), body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Errorf("%s: %v", path, err)
	}
	return answer{res.StatusCode, res.Header, string(body), time.Since(began)}
}

// origin makes chunks whose blocks are boxes, not media.
type origin struct {
	broadcast  string
	epoch, seq uint64
	dt         uint64
	gop, since int
	size       int
	init       string
	cut        bool
}

func newOrigin(broadcast string) *origin {
	return &origin{broadcast: broadcast, epoch: 7, gop: 8, size: 1000, init: "one"}
}

func box(kind string, body ...string) []byte {
	b := strings.Join(body, "")
	n := len(b) + 8
	return []byte(string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + kind + b)
}

func (o *origin) chunk(captured time.Time) envelope.Chunk {
	e := &envelope.Envelope{
		Broadcast: o.broadcast, Track: "main", Epoch: o.epoch, Seq: o.seq,
		Timescale: 90000, DecodeTime: o.dt, Duration: 22500, PartTarget: 22500, Captured: captured,
	}
	id := string([]byte{byte(o.epoch), byte(o.seq >> 8), byte(o.seq)})
	block := append(box("moof", id), box("mdat", strings.Repeat("m", o.size))...)
	init := box("ftyp", o.init)
	e.SetBlock(block, envelope.DefaultFragment)
	e.Init = envelope.RawCID(init)
	c := envelope.Chunk{Envelope: e, Block: block}
	if o.since%o.gop == 0 {
		e.Flags |= envelope.Independent
		c.Init = init
	}
	if o.cut {
		e.Flags |= envelope.Discontinuity
	}
	o.cut = false
	o.seq++
	o.since++
	o.dt += 22500
	return c
}

func (o *origin) end(captured time.Time) envelope.Chunk {
	return envelope.Chunk{Envelope: &envelope.Envelope{
		Broadcast: o.broadcast, Track: "main", Epoch: o.epoch, Seq: o.seq,
		Timescale: 90000, DecodeTime: o.dt, PartTarget: 22500, Captured: captured, Flags: envelope.End,
		Init: cid.Undef,
	}}
}

// open opens a broadcast with the track main.
func (r *rig) open(id string) *Broadcast {
	r.t.Helper()
	b, err := r.Open(BroadcastInfo{ID: id, Title: "A talk"})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// publish pushes n chunks, each when it is complete: in real (virtual) time.
func (r *rig) publish(b *Broadcast, o *origin, n int) {
	r.t.Helper()
	for range n {
		captured := time.Now()
		time.Sleep(250 * time.Millisecond)
		r.push(b, o.chunk(captured))
	}
}

func (r *rig) push(b *Broadcast, c envelope.Chunk) {
	r.t.Helper()
	if err := b.Push("main", c); err != nil {
		r.t.Error(err)
	}
}
