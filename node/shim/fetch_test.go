package shim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestFetch checks what requests for what is not at hand may cause.
func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 4000, &past{delay: time.Second})
		r.joinLate(o, h, 24)
		time.Sleep(1500 * time.Millisecond)
		const base = "/b/talk/main/"
		uri := func(i int) string { return fmt.Sprintf("%ss-7-%d-%d.m4s", base, 8*i, 8*i+7) }
		all := func(paths []string, header ...string) (codes map[int]int, took time.Duration) {
			codes = map[int]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			began := time.Now()
			for _, p := range paths {
				wg.Go(func() {
					a := r.get(p, header...)
					mu.Lock()
					codes[a.code]++
					mu.Unlock()
				})
			}
			wg.Wait()
			return codes, time.Since(began)
		}
		same := make([]string, 30)
		for i := range same {
			same[i] = uri(3)
		}
		if codes, took := all(same); codes[200] != 30 || h.questions() != 1 || took != time.Second {
			t.Errorf("equal requests: %v, asked %d times, %v", codes, h.questions(), took)
		}
		h.set(func() { h.delay = 900 * time.Millisecond })
		many := make([]string, 200)
		for i := range many {
			many[i] = uri(10 + i)
		}
		// Eight at once, a second each, two seconds for each request: 16 come through.
		if codes, took := all(many); codes[200] != 16 || codes[503] != 184 || took != fetchBudget {
			t.Errorf("many requests: %v, %v", codes, took)
		}
		time.Sleep(10 * time.Second)
		h.set(func() { h.delay = time.Millisecond })
		asked := h.questions()
		began := time.Now()
		for i := range 200 {
			r.get(uri(250+i), "Origin", "https://else.where")
		}
		if n := h.questions() - asked; n > foreignBurst+1+int(foreignRate*time.Since(began).Seconds()) || n < foreignBurst {
			t.Errorf("a foreign page caused %d fetches in %v", n, time.Since(began))
		}
		began = time.Now()
		if a := r.get(uri(6), "Origin", "https://else.where"); a.took > fetchBudget || time.Since(began) > fetchBudget {
			t.Errorf("held for %v", a.took)
		}
		time.Sleep(time.Minute)
		for name, c := range map[string]struct {
			set  func()
			path string
			code int
		}{
			"gone":      {func() { h.refuse = ErrGone }, uri(5), 404},
			"later":     {func() { h.refuse = errors.New("busy") }, uri(5), 503},
			"short":     {func() { h.short = true }, uri(5), 503},
			"slow":      {func() { h.delay = time.Minute }, uri(5), 503},
			"not there": {func() {}, base + "s-7-41-47.m4s", 404},
			"huge":      {func() {}, base + "s-7-0-18446744073709551615.m4s", 404},
			"part":      {func() {}, base + "p-7-99999.m4s", 404},
			"init":      {func() {}, base + "init-bafkqaaa.mp4", 404},
			"epoch":     {func() {}, base + "s-6-0-7.m4s", 404},
		} {
			h.set(func() { h.refuse, h.short, h.delay = nil, false, time.Millisecond })
			h.set(c.set)
			if a := r.get(c.path); a.code != c.code || a.took > fetchBudget || c.code == 503 && a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d after %v", name, a.code, a.took)
			}
		}
		f := r.fetches
		f.mu.Lock()
		if f.size > fetchMemory || len(f.flights) > 0 || f.waiting > 0 {
			t.Errorf("%d bytes, %d flights, %d waiting", f.size, len(f.flights), f.waiting)
		}
		f.mu.Unlock()
		// Who goes takes a fetch along that nobody else waits for.
		h.set(func() { h.refuse, h.short, h.delay = nil, false, time.Minute })
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		r.do(ctx, "GET", uri(5))
		synctest.Wait()
		r.fetches.mu.Lock()
		defer r.fetches.mu.Unlock()
		if r.fetches.waiting > 0 {
			t.Error("a fetch goes on for nobody")
		}
	})
}
