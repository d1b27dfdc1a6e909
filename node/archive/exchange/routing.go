package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"golang.org/x/sync/errgroup"
)

// router is what is used of a DHT.
type router interface {
	routing.ContentRouting
	routing.ValueStore
	Bootstrap(ctx context.Context) error
	Close() error
}

const (
	provideTimeout  = 2 * time.Minute // one announcement; the public DHT takes 10 to 60 s
	provideParallel = 4
	provideRetry    = 5 * time.Minute
	rootsEvery      = time.Minute
	providersMost   = 100
)

// startRouting joins the DHT that the configuration names.
func (x *Exchange) startRouting() error {
	if x.cfg.Routing == RoutingOff {
		return nil
	}
	mode := map[Routing]dht.ModeOpt{
		RoutingClient: dht.ModeClient, RoutingAuto: dht.ModeAuto, RoutingServer: dht.ModeServer,
	}[x.cfg.Routing]
	var err error
	var joined router
	if x.cfg.Prefix == PublicPrefix {
		// The dual DHT keeps public and private addresses apart, as other IPFS nodes do.
		joined, err = dual.New(x.cfg.Host,
			dual.DHTOption(dht.BootstrapPeers(x.cfg.Bootstrap...)), dual.WanDHTOption(dht.Mode(mode)))
	} else {
		joined, err = dht.New(x.cfg.Host, dht.ProtocolPrefix(x.cfg.Prefix), dht.Mode(mode),
			dht.BootstrapPeers(x.cfg.Bootstrap...),
			dht.Validator(record.NamespacedValidator{
				"pk": record.PublicKeyValidator{}, "ipns": ipns.Validator{KeyBook: x.cfg.Host.Peerstore()},
			}))
	}
	if err != nil {
		return fmt.Errorf("exchange: DHT: %w", err)
	}
	if err := joined.Bootstrap(x.ctx); err != nil {
		return errors.Join(fmt.Errorf("exchange: DHT: %w", err), joined.Close())
	}
	x.dht = joined
	return nil
}

// Provide tells the DHT that this node has the recording with this root. It takes up to a minute on the public DHT.
// Records live for 48 hours: what is to stay known belongs in Config.Roots.
func (x *Exchange) Provide(ctx context.Context, root cid.Cid) error {
	if x.dht == nil {
		return ErrNoRouting
	}
	if err := verifiable(root); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, provideTimeout)
	defer cancel()
	err := x.dht.Provide(ctx, root, true)
	x.metrics.provided(err == nil)
	if err != nil {
		return fmt.Errorf("exchange: provide %s: %w", root, err)
	}
	return nil
}

// Providers returns who, by the DHT, has the recording with this root, this node left out: max at most (0: 100). Their
// number is how many others keep it; they may be unreachable. It returns those found so far, with an error, when ctx
// ends early.
func (x *Exchange) Providers(ctx context.Context, root cid.Cid, most int) ([]peer.AddrInfo, error) {
	if x.dht == nil {
		return nil, ErrNoRouting
	}
	if err := verifiable(root); err != nil {
		return nil, err
	}
	if most <= 0 || most > providersMost {
		most = providersMost
	}
	search, cancel := context.WithCancel(ctx)
	defer cancel()
	var found []peer.AddrInfo
	seen := map[peer.ID]bool{x.cfg.Host.ID(): true}
	for p := range x.dht.FindProvidersAsync(search, root, most+1) {
		if !seen[p.ID] && len(found) < most {
			seen[p.ID] = true
			found = append(found, p)
		}
	}
	if err := ctx.Err(); err != nil {
		return found, fmt.Errorf("exchange: providers of %s: %w", root, err)
	}
	return found, nil
}

// Announce makes the exchange look at Config.Roots now: the DHT is told of the new ones at once.
func (x *Exchange) Announce() {
	select {
	case x.nudge <- struct{}{}:
	default:
	}
}

// reprovide tells the DHT of the roots, again and again, until the exchange closes. It puts names again, too.
func (x *Exchange) reprovide() {
	next := map[cid.Cid]time.Time{}
	ticker := time.NewTicker(rootsEvery)
	defer ticker.Stop()
	for {
		x.provideDue(next)
		x.putNames(time.Now())
		select {
		case <-ticker.C:
		case <-x.nudge:
		case <-x.ctx.Done():
			return
		}
	}
}

// provideDue announces the roots whose time has come, and forgets those that are gone.
func (x *Exchange) provideDue(next map[cid.Cid]time.Time) {
	if x.cfg.Roots == nil {
		return
	}
	start := time.Now()
	var due []cid.Cid
	held := map[cid.Cid]bool{}
	for _, root := range x.cfg.Roots() {
		if !root.Defined() || held[root] {
			continue
		}
		held[root] = true
		if !start.Before(next[root]) {
			due = append(due, root)
		}
	}
	for root := range next {
		if !held[root] {
			delete(next, root)
		}
	}
	done := make([]bool, len(due))
	var group errgroup.Group
	group.SetLimit(provideParallel)
	for i, root := range due {
		group.Go(func() error {
			err := x.Provide(x.ctx, root)
			done[i] = err == nil
			if err != nil && x.ctx.Err() == nil {
				x.cfg.Log.Debug("not announced", "root", root, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait()
	for i, root := range due {
		next[root] = time.Now().Add(provideRetry)
		if done[i] {
			next[root] = time.Now().Add(x.cfg.Reprovide)
		}
	}
}
