package ingest

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/node/internal/pipes"
)

func TestRTMPStrangersAreBounded(t *testing.T) {
	virtual(t, RTMPConfig{MaxConnections: 3}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		start := time.Now()
		var conns []net.Conn
		for range 3 {
			c, err := p.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		c, err := p.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the fourth connection: %v", err)
		}
		// One sends a byte now and then. It is closed after the time for handshakes like the silent ones.
		go func() {
			for {
				time.Sleep(time.Second)
				if _, err := conns[0].Write([]byte{3}); err != nil {
					return
				}
			}
		}()
		for _, c := range conns {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("a silent connection: %v", err)
			}
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		time.Sleep(2 * time.Second) // until the slow one has noticed
	})
}

// Garbage in place of, or in the middle of, a stream ends that connection and nothing else.
func TestRTMPGarbage(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		for range 50 {
			c, err := p.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			garbage := make([]byte, 100<<10)
			for i := range garbage {
				garbage[i] = byte(rng.Uint32())
			}
			if rng.IntN(2) == 0 {
				garbage[0] = 3
			}
			go io.Copy(io.Discard, c) //nolint:errcheck // whatever it says
			if _, err := c.Write(garbage); err == nil {
				t.Error("100 kB of garbage were taken")
			}
			c.Close() //nolint:errcheck // the server may have been first

			g, err := publish(p.Dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := g.frame(0); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, g.NetConn()) //nolint:errcheck // whatever it says
			for {
				if _, err := g.NetConn().Write(garbage[:1+rng.IntN(1000)]); err != nil {
					break
				}
			}
			g.Close()
			synctest.Wait()
		}
		for i, k := range e.kinds() {
			if want := [2]string{"publisher came", "publisher dropped"}[i%2]; k != want {
				t.Fatalf("event %d is %v", i, k)
			}
		}
	})
}

func TestRTMPSinkError(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		r.fail = errors.New("the disk is full")
		c, err := publish(p.Dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		go c.frame(0) //nolint:errcheck // it is cut off
		for {
			if _, err = c.Read(); err != nil {
				break
			}
		}
		synctest.Wait()
		if len(e.list) != 2 || !errors.Is(e.list[1].Err, r.fail) {
			t.Errorf("events %v", e.list)
		}
		c.Close()
	})
}
