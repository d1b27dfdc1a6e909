package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
)

// nameTTL is how long an answer under a name may be kept: a channel's record changes with every talk.
const nameTTL = time.Minute

// names resolves /ipns/ paths by the configuration. Keys only: no DNS is asked for strangers.
type names struct {
	resolve func(ctx context.Context, channel string) (string, error)
}

var errNoName = errors.New("gateway: no such name here")

func notFound(err error) error {
	return gateway.NewErrorStatusCode(errors.Join(namesys.ErrResolveFailed, err), http.StatusNotFound)
}

func (n names) Resolve(ctx context.Context, p path.Path, _ ...namesys.ResolveOption) (namesys.Result, error) {
	segments := p.Segments()
	name, err := ipns.NameFromString(segments[1])
	if err != nil || n.resolve == nil {
		return namesys.Result{}, notFound(errNoName)
	}
	value, err := n.resolve(ctx, name.Peer().String())
	if err != nil {
		return namesys.Result{}, notFound(err)
	}
	target, err := path.NewPath(value)
	if err != nil || target.Namespace() != path.IPFSNamespace { // one step: no chains, no loops
		return namesys.Result{}, notFound(errNoName)
	}
	if target, err = path.Join(target, segments[2:]...); err != nil {
		return namesys.Result{}, notFound(err)
	}
	return namesys.Result{Path: target, TTL: nameTTL}, nil
}

func (n names) ResolveAsync(ctx context.Context, p path.Path, o ...namesys.ResolveOption) <-chan namesys.AsyncResult {
	out := make(chan namesys.AsyncResult, 1)
	r, err := n.Resolve(ctx, p, o...)
	out <- namesys.AsyncResult{Path: r.Path, TTL: r.TTL, Err: err}
	close(out)
	return out
}

func (names) Publish(context.Context, crypto.PrivKey, path.Path, ...namesys.PublishOption) error {
	return errReadOnly
}
