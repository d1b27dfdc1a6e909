package mesh

import (
	"context"
	"io"
	"sync/atomic"

	"golang.org/x/time/rate"
)

const (
	// paceSlice is how much of an answer leaves at a time, so that answers share the pace fairly.
	paceSlice = 16 << 10
	// paceBurst is how much may leave at once: an independent chunk's better part, or a few others.
	paceBurst = 8 * paceSlice
	// paceAnswer is the bytes a second that an answer with chunks must get, or the asker does better elsewhere: about
	// what a stream has. Of fewer answers than paceFew none is turned away.
	paceAnswer = 3e6 / 8
	paceFew    = 2
)

// logPace keeps what the log protocol sends from standing in the way of the live track: newcomers ask whom they know
// first, which is the origin, each for 6 s of the track, and the fragments that it publishes meanwhile are what everybody
// else waits for. It is safe for concurrent use.
type logPace struct {
	limiter *rate.Limiter
	open    atomic.Int64
}

func newLogPace(bytesPerSecond float64) *logPace {
	return &logPace{limiter: rate.NewLimiter(rate.Limit(bytesPerSecond), paceBurst)}
}

// set sets the bytes a second that answers may take together.
func (p *logPace) set(bytesPerSecond float64) { p.limiter.SetLimit(rate.Limit(bytesPerSecond)) }

// enter admits an answer with chunks, which ends with a call of leave; not ok: there are as many as the pace has room for.
func (p *logPace) enter() (leave func(), ok bool) {
	if n := p.open.Add(1); n > paceFew && float64(n)*paceAnswer > float64(p.limiter.Limit()) {
		p.open.Add(-1)
		return nil, false
	}
	return func() { p.open.Add(-1) }, true
}

// writer returns a writer onto w that keeps the pace, until ctx ends. Before each slice it calls tick.
func (p *logPace) writer(ctx context.Context, w io.Writer, tick func()) io.Writer {
	return &pacedWriter{p, ctx, w, tick}
}

type pacedWriter struct {
	pace *logPace
	ctx  context.Context
	w    io.Writer
	tick func()
}

// Write implements io.Writer.
func (w *pacedWriter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := min(len(b), paceSlice)
		if err := w.pace.limiter.WaitN(w.ctx, n); err != nil {
			return written, err
		}
		w.tick()
		n, err := w.w.Write(b[:n])
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}
