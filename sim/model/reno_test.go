package model

import "testing"

// TestReno: what a connection lets go follows quic-go's window: a burst at once, the rest paced, what passes the window
// after an acknowledgement; a loss takes three tenths of it, and only a sender that fills it gets more.
func TestReno(t *testing.T) {
	const rtt, window, burst = int64(100e6), 20 * full, 10 * full
	send := func(e *end, now int64, packets int) int64 {
		return e.leave(now, rtt, int32(packets*payload), window, burst)
	}
	e := &end{}
	if at := send(e, 5e8, 10); at > 5e8+1e6 {
		t.Errorf("a burst left after %d ns", at-5e8)
	}
	if at := send(e, 1e9, 20); at <= 1e9 || at >= 1e9+rtt {
		t.Errorf("a window left after %d ns, want it paced within a round trip", at-1e9)
	}
	r := e.reno
	r.settle(2e9)
	if r.flight != 0 || r.window <= window {
		t.Errorf("%.0f bytes in flight, a window of %.0f: want none, and a window that slow start made larger", r.flight, r.window)
	}
	r.lose(2e9, 2e9+rtt)
	r.lose(2e9+1, 2e9+rtt+1) // of the same round trip
	had := r.window
	r.settle(3e9)
	if want := had * renoBeta; r.window != want {
		t.Errorf("after a loss a window of %.0f, want %.0f", r.window, want)
	}
	cut := r.window
	for i := range int64(40) { // ten seconds of chunks that do not fill it
		send(e, 4e9+i*250e6, 4)
	}
	r.settle(20e9)
	if r.window != cut {
		t.Errorf("a window of %.0f became %.0f without being filled", cut, r.window)
	}
	if at := send(e, 20e9, 120); at < 20e9+rtt {
		t.Errorf("several windows left in %d ns, want a round trip at least", at-20e9)
	}
	r.settle(30e9)
	if r.window <= cut {
		t.Error("a window that was filled did not grow")
	}
	for range 40 {
		r.lose(r.until, r.until+1)
		r.settle(r.until + 2)
	}
	if r.window != renoLeast*full {
		t.Errorf("after many losses a window of %.0f, want %d", r.window, renoLeast*full)
	}
}
