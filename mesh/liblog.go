package mesh

import (
	"context"
	"log/slog"

	"github.com/libp2p/go-libp2p/gologshim"
)

// SetLibraryLog sends what libp2p logs, in the whole process, to log instead of to standard error. Call it before the
// first New, and once. Warnings and errors of the library become debug messages: those that matter to us it also returns
// as errors, and the others speak of single connections. What it has to say below a warning is dropped.
func SetLibraryLog(log *slog.Logger) { gologshim.SetDefaultHandler(demoted{log.Handler()}) }

// demoted passes warnings and errors on as debug messages.
type demoted struct{ to slog.Handler }

// Enabled implements slog.Handler.
func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && d.to.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoted) WithAttrs(a []slog.Attr) slog.Handler { return demoted{d.to.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.to.WithGroup(name)} }
