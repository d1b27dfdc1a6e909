package stack

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/sim"
)

// pair returns the sockets of two nodes with the given links, and the delay between them.
func pair(t *testing.T, yaml string) (*internet, [2]*endpoint, time.Duration) {
	t.Helper()
	p, err := sim.NewPlan(parse(t, yaml), 1)
	if err != nil {
		t.Fatal(err)
	}
	w := newInternet(p, nil)
	var ends [2]*endpoint
	for i := range ends {
		ends[i] = newEndpoint(w, i, w.addrs[i])
		w.ends[i].Store(ends[i])
	}
	return w, ends, p.Delay(0, 1)
}

const twoNodes = `
name: two
peers: 1
place: {plane: {width: 100ms, height: 60ms, base: 5ms}}
origin: {up: 8M, down: 100M}
classes: [{name: home, up: 8M, down: 100M}]
`

// TestWireDelay: a packet on an idle link arrives after the path's delay, and those of a burst at the link's pace.
func TestWireDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ends, delay := pair(t, twoNodes)
		defer w.wire.close()
		start := time.Now()
		for range 10 { // 1 ms each at 8 Mbit/s, but for what the bucket holds
			if _, err := ends[0].WriteTo(make([]byte, 1000), w.addrs[1]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			n, from, err := ends[1].ReadFrom(make([]byte, 2000))
			if err != nil || n != 1000 || from.String() != w.addrs[0].String() {
				t.Fatal(n, from, err)
			}
			want := delay + max(time.Duration(i*1000-500)*time.Microsecond, 0)
			if got := time.Since(start); got < want || got > want+2*grain {
				t.Errorf("packet %d came after %v instead of %v", i, got, want)
			}
		}
	})
}

// TestWireQueue: a link that is offered twice what it carries delivers its rate, fairly, and CoDel drops the rest; a flow
// of few packets does not wait behind the others.
func TestWireQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ends, delay := pair(t, twoNodes)
		defer w.wire.close()
		const rounds = 4000
		got, worst := 0, time.Duration(0)
		go func() {
			for {
				b := make([]byte, 2000)
				n, _, err := ends[1].ReadFrom(b)
				if err != nil {
					return
				}
				if got++; n == 1250 {
					continue
				}
				sent := time.Duration(0)
				for i := range 8 {
					sent |= time.Duration(b[i]) << (8 * i)
				}
				worst = max(worst, w.wire.now()-sent-delay)
			}
		}()
		for i := range rounds { // 1250 bytes each 0.625 ms: 16 Mbit/s
			_, _ = ends[0].WriteTo(make([]byte, 1250), w.addrs[1])
			if i%100 == 0 { // another flow, by another address of the same socket
				b := make([]byte, 100)
				now := w.wire.now()
				for k := range 8 {
					b[k] = byte(now >> (8 * k))
				}
				w.wire.mu.Lock()
				p := w.wire.packet(0, 1, b)
				ends[0].up.queue.put(p, 77, now)
				w.wire.mu.Unlock()
			}
			time.Sleep(625 * time.Microsecond)
		}
		time.Sleep(10 * time.Second)
		if err := ends[1].Close(); err != nil {
			t.Fatal(err)
		}
		if got < rounds/2 || got > rounds*9/10 {
			t.Errorf("%d of %d packets came", got, rounds)
		}
		if worst > 5*time.Millisecond {
			t.Errorf("a packet of a thin flow waited %v", worst)
		}
	})
}

// TestSocketDeadline: reading ends at the deadline, and when the socket is closed.
func TestSocketDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ends, _ := pair(t, twoNodes)
		defer w.wire.close()
		start := time.Now()
		if err := ends[0].SetReadDeadline(start.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _, err := ends[0].ReadFrom(make([]byte, 10))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := ends[0].SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { ends[0].Close() })
		if _, _, err = ends[0].ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err = ends[0].WriteTo([]byte("x"), w.addrs[1]); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
