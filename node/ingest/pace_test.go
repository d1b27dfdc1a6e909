package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPacer()
		for _, c := range []struct{ timestamp, due time.Duration }{
			{5 * time.Hour, 0}, // starts anywhere
			{5*time.Hour + time.Second, time.Second},
			{5*time.Hour + time.Second/2, time.Second}, // late: at once
			{5*time.Hour + 3*time.Second, 3 * time.Second},
			{9 * time.Hour, 3 * time.Second}, // a jump is not waited for
			{9*time.Hour + time.Second, 4 * time.Second},
			{0, 4 * time.Second}, // nor is one back
			{time.Second, 5 * time.Second},
		} {
			if err := p.wait(t.Context(), c.timestamp); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != c.due {
				t.Errorf("%v was due after %v, came after %v", c.timestamp, c.due, got)
			}
		}
		time.Sleep(10 * time.Second) // the sink was slow: what is due then comes at once, until the time is made up
		for i := range 20 {
			if err := p.wait(t.Context(), time.Duration(2+i)*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start); got != 25*time.Second {
			t.Errorf("after a delay: %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if err := p.wait(ctx, 22*time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("canceled: %v", err)
		}
	})
}
