package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/archive/exchange"
	"murmuration/node/archive/gateway"
	"murmuration/node/archive/unixfs"
)

// library is what a participant keeps of broadcasts, and its trade in it with other IPFS nodes.
type library struct {
	cfg      Recordings
	log      *slog.Logger
	mesh     *mesh.Node
	upload   int64          // limit in bits a second; 0: none
	store    *archive.Store // nil where nothing is kept
	deleted  *deletions     // by hand; nil where nothing is kept
	exchange *exchange.Exchange
	checks   checks
	stills   *stills // nil where no pictures can be made
	secrets  *keyring

	importing sync.Mutex // one import at a time
	strain    strain     // of the link, by what is live

	mu       sync.Mutex
	records  map[envelope.Channel]mesh.Record // the newest of each channel that is followed
	bulletin block                            // the own channel's record, as its IPNS name points at it
	latest   block                            // the record that was asked for last by its channel's name here
	replicas map[cid.Cid]int                  // how many others have it, as far as the DHT tells
	playing  *mesh.RecordingInfo              // what a replay plays
	posters  map[cid.Cid]bool                 // whether views that were looked at have one
}

// block is a small one that is kept in memory.
type block struct {
	cid  cid.Cid
	data []byte
}

func openLibrary(cfg Recordings, n *mesh.Node, upload int64, metrics prometheus.Registerer, log *slog.Logger) (*library, error) {
	l := &library{
		cfg: cfg, log: log, mesh: n, upload: upload, records: map[envelope.Channel]mesh.Record{}, replicas: map[cid.Cid]int{},
	}
	if !cfg.Off {
		c := archive.Config{Dir: l.cfg.Dir, Log: log}
		if l.stills = newStills(); l.stills != nil {
			c.Still = l.stills.still
		}
		store, err := archive.Open(c)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
		l.store = store
		if l.deleted, err = openDeletions(l.cfg.Dir); err != nil {
			log.Warn("recordings that were deleted may come back", "err", err)
		}
	}
	var err error
	l.exchange, err = exchange.New(exchange.Config{
		Host: n.Host(), Blocks: l, Routing: cfg.Routing, Bootstrap: cfg.Bootstrap, Prefix: cfg.Prefix, Roots: l.roots,
		UploadBitsPerSecond: upload, Log: log, Metrics: metrics,
	})
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close stops the trade and closes the store.
func (l *library) close() error {
	l.checks.close()
	var errs []error
	if l.exchange != nil {
		errs = append(errs, l.exchange.Close())
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	return errors.Join(errs...)
}

// gateway returns the handler of /ipfs/ and /ipns/.
func (l *library) gateway() (http.Handler, error) {
	return gateway.New(gateway.Config{
		Blocks: l, Names: l.resolve, Log: l.log,
		Fetch: func(ctx context.Context) gateway.Fetcher { return l.session(ctx) },
	})
}

// session fetches blocks, from the peers at hand first.
func (l *library) session(ctx context.Context) *exchange.Session {
	var near []peer.ID
	for _, p := range l.mesh.Status().Peers {
		near = append(near, p.ID)
	}
	return l.exchange.Session(ctx, near...)
}

// Has implements exchange.Blocks and gateway.Blocks, as Get and GetSize do.
func (l *library) Has(ctx context.Context, c cid.Cid) (bool, error) {
	if _, ok := l.small(c); ok {
		return true, nil
	}
	if l.store == nil {
		return false, nil
	}
	return l.store.Has(ctx, c)
}

// Get returns a block.
func (l *library) Get(ctx context.Context, c cid.Cid) ([]byte, error) {
	if b, ok := l.small(c); ok {
		return b, nil
	}
	if l.store == nil {
		return nil, archive.ErrNotFound
	}
	return l.store.Get(ctx, c)
}

// GetSize returns the size of a block in bytes.
func (l *library) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	if b, ok := l.small(c); ok {
		return len(b), nil
	}
	if l.store == nil {
		return 0, archive.ErrNotFound
	}
	return l.store.GetSize(ctx, c)
}

// small returns a block that is kept in memory.
func (l *library) small(c cid.Cid) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range [...]block{l.bulletin, l.latest} {
		if b.cid.Defined() && b.cid.Equals(c) {
			return b.data, true
		}
	}
	return nil, false
}

// roots returns what the DHT is told of.
func (l *library) roots() []cid.Cid {
	var roots []cid.Cid
	if l.store != nil {
		for _, i := range l.store.List() {
			if i.State == archive.Finished && i.Damaged == 0 {
				roots = append(roots, i.Root)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bulletin.cid.Defined() {
		roots = append(roots, l.bulletin.cid)
	}
	return roots
}

// learn takes note of a channel's newest record.
func (l *library) learn(rec mesh.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[rec.Channel] = rec
}

// listed returns the recordings that a channel's newest record lists, newest first.
func (l *library) listed(channel envelope.Channel) []mesh.RecordingInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.records[channel].Recordings)
	slices.SortStableFunc(list, func(a, b mesh.RecordingInfo) int { return b.Started.Compare(a.Started) })
	return list
}

// kept returns the finished recordings of a channel that are here, oldest first, as its record lists them.
func (l *library) kept(channel envelope.Channel) []mesh.RecordingInfo {
	if l.store == nil {
		return nil
	}
	var list []mesh.RecordingInfo
	for _, i := range slices.Backward(l.store.List()) {
		if i.Key.Channel != channel || i.State != archive.Finished {
			continue
		}
		list = append(list, mesh.RecordingInfo{
			Broadcast: i.Key.Broadcast, Title: i.Title, Started: i.Started, Duration: i.Duration, Root: i.Root, Size: i.Size,
			Private: i.KeyScheme != 0,
		})
	}
	return list
}

// resolve answers what the IPNS name of a channel points at: the record of one that is followed, without asking anybody.
func (l *library) resolve(ctx context.Context, channel string) (string, error) {
	id, err := peer.Decode(channel)
	if err != nil {
		return "", err
	}
	if c, err := mesh.ChannelFromID(id); err == nil {
		l.mu.Lock()
		rec, here := l.records[c]
		l.mu.Unlock()
		if here {
			b, err := bulletinOf(rec)
			if err != nil {
				return "", err
			}
			l.mu.Lock()
			l.latest = b
			l.mu.Unlock()
			return "/ipfs/" + b.cid.String(), nil
		}
	}
	return l.exchange.ResolveName(ctx, id)
}

// bulletinOf returns a record as an IPFS file.
func bulletinOf(rec mesh.Record) (block, error) {
	raw, err := rec.Encode()
	if err != nil {
		return block{}, err
	}
	return block{envelope.RawCID(raw), raw}, nil
}

// publishName points the channel's IPNS name at its record of this moment. It takes up to a minute on the public DHT.
func (l *library) publishName(ctx context.Context, key ed25519.PrivateKey, rec mesh.Record) error {
	if l.cfg.Routing == exchange.RoutingOff {
		return nil
	}
	b, err := bulletinOf(rec)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.bulletin = b
	l.mu.Unlock()
	l.exchange.Announce()
	return l.exchange.PublishName(ctx, key, "/ipfs/"+b.cid.String(), 0)
}

// locked says why a recording cannot be shown here; empty where it can.
func (l *library) locked(b archive.Key, private bool) string {
	if _, ok := l.secrets.secret(b); private && !ok {
		return errNoKey.Error()
	}
	return ""
}

// show notes what a replay plays, for the status.
func (l *library) show(view *unixfs.View, root cid.Cid) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, poster := view.File(posterName)
	l.posters = map[cid.Cid]bool{root: poster}
	l.playing = &mesh.RecordingInfo{
		Broadcast: view.Info.Broadcast, Title: view.Info.Title, Started: view.Info.Started, Duration: view.Info.Length(), Root: root,
		Size: view.Size(), Private: view.Info.Private,
	}
}
