package ingest

import (
	"context"
	"errors"
	"io"
)

// pump reads from a Reader that cannot be interrupted, such as standard input, and can itself be.
type pump struct {
	ctx    context.Context
	chunks chan []byte
	free   chan []byte
	rest   []byte // what is left of the current chunk
	held   []byte // the whole of it
	err    error  // set before chunks is closed
}

// inputError is an error of the input itself, as opposed to one of what is in it.
type inputError struct{ error }

func (e *inputError) Unwrap() error { return e.error }

// newPump starts reading r. The goroutine that does ends with r or with ctx, though not while r hangs.
func newPump(ctx context.Context, r io.Reader) *pump {
	p := &pump{ctx: ctx, chunks: make(chan []byte), free: make(chan []byte, 2)}
	p.free <- make([]byte, 64<<10)
	p.free <- make([]byte, 64<<10)
	go func() {
		defer close(p.chunks)
		for {
			var buf []byte
			select {
			case buf = <-p.free:
			case <-ctx.Done():
				return
			}
			n, err := r.Read(buf[:cap(buf)])
			if n > 0 {
				select {
				case p.chunks <- buf[:n]:
				case <-ctx.Done():
					return
				}
			} else {
				p.free <- buf
			}
			if err != nil {
				p.err = err
				return
			}
		}
	}()
	return p
}

func (p *pump) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.held != nil {
			p.free <- p.held
			p.held = nil
		}
		select {
		case chunk, ok := <-p.chunks:
			if !ok {
				if err := p.ctx.Err(); err != nil {
					return 0, &inputError{err}
				}
				if p.err == nil || errors.Is(p.err, io.EOF) {
					return 0, io.EOF
				}
				return 0, &inputError{p.err}
			}
			p.held, p.rest = chunk, chunk
		case <-p.ctx.Done():
			return 0, &inputError{p.ctx.Err()}
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
