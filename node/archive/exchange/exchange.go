package exchange

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/peering"
	blocks "github.com/ipfs/go-block-format"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"golang.org/x/time/rate"
)

// Exchange is a node's part in the trade of blocks. Its methods may be called at the same time.
type Exchange struct {
	cfg     Config
	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	bitswap *bitswap.Bitswap
	local   store
	dht     router // nil: RoutingOff
	limit   *rate.Limiter
	asked   asked
	misuse  misuse
	metrics *metrics
	nudge   chan struct{}

	mu     sync.Mutex
	closed bool
	kept   map[peer.ID]int     // sessions that want to keep a connection
	names  map[string]*posting // IPNS records that are put again, by routing key
}

// quiet keeps the libraries under this package from writing to standard error. Their errors speak of single peers and
// requests; those that matter are returned.
var quiet = sync.OnceFunc(func() {
	if os.Getenv("GOLOG_LOG_LEVEL") != "" {
		return // whoever debugs wants to hear them
	}
	for _, name := range logging.GetSubsystems() {
		_ = logging.SetLogLevel(name, "dpanic")
	}
})

// New starts an exchange on cfg.Host: from now on it serves cfg.Blocks.
func New(cfg Config) (*Exchange, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	quiet()
	x := &Exchange{
		cfg: cfg, local: store{from: cfg.Blocks, log: cfg.Log}, limit: newLimit(cfg.UploadBitsPerSecond),
		nudge: make(chan struct{}, 1), kept: map[peer.ID]int{}, names: map[string]*posting{},
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	var err error
	if x.metrics, err = newMetrics(cfg.Metrics, x); err != nil {
		x.cancel()
		return nil, fmt.Errorf("exchange: metrics: %w", err)
	}
	if err := x.startRouting(); err != nil {
		x.cancel()
		x.metrics.unregister()
		return nil, err
	}
	x.startBitswap()
	if x.dht != nil {
		x.running.Go(x.reprovide)
	}
	return x, nil
}

func (x *Exchange) startBitswap() {
	options := []bitswap.Option{
		bitswap.WithServerEnabled(x.cfg.Blocks != nil),
		bitswap.MaxQueuedWantlistEntriesPerPeer(uint(x.cfg.Wants)),
		// A recording is served to strangers beside a live broadcast: few reads at once, and little in flight to each.
		bitswap.EngineBlockstoreWorkerCount(8),
		bitswap.EngineTaskWorkerCount(4),
		bitswap.TaskWorkerCount(8),
		bitswap.MaxOutstandingBytesPerPeer(1 << 20),
		bitswap.WithoutDuplicatedBlockStats(),
	}
	if x.dht != nil && x.protects() {
		// The DHT connects to hundreds of strangers. Ask only those of them who are likely to answer: peers that sent
		// us blocks before, those near, and those that a session was given.
		options = append(options, bitswap.WithClientOption(client.BroadcastControlEnable(true)))
	}
	var finder routing.ContentDiscovery // nil, and not an interface that holds nil
	if x.dht != nil {
		finder = x.dht
	}
	x.bitswap = bitswap.New(x.ctx, guardedNetwork{bsnet.NewFromIpfsHost(x.cfg.Host), x}, finder, x.local, options...)
}

// protects reports whether the host's connection manager remembers which peers are protected. One that does not would
// leave those that a session was given out of the first question.
func (x *Exchange) protects() bool {
	const tag = "murmur-exchange-probe"
	manager, id := x.cfg.Host.ConnManager(), x.cfg.Host.ID()
	manager.Protect(id, tag)
	defer manager.Unprotect(id, tag)
	return manager.IsProtected(id, tag)
}

// SetUpload changes the upload limit; 0 is none. It holds from the next message on.
func (x *Exchange) SetUpload(bitsPerSecond int64) { setLimit(x.limit, bitsPerSecond) }

// Added tells peers and sessions that wait for these blocks that Config.Blocks has them now. It need not be called for
// blocks that nobody can have asked for yet.
func (x *Exchange) Added(ctx context.Context, added ...blocks.Block) error {
	return x.bitswap.NotifyNewBlocks(ctx, added...)
}

// keep holds on to the connection with p as long as sessions want it; the peer is then asked first.
func (x *Exchange) keep(p peer.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept[p]++
	x.cfg.Host.ConnManager().Protect(p, peering.ConnmgrTag)
}

func (x *Exchange) release(p peer.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.kept[p]--; x.kept[p] <= 0 {
		delete(x.kept, p)
		x.cfg.Host.ConnManager().Unprotect(p, peering.ConnmgrTag)
	}
}

// Close stops serving and fetching. Sessions end. The host stays open.
func (x *Exchange) Close() error {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return nil
	}
	x.closed = true
	x.mu.Unlock()
	x.cancel()
	err := x.bitswap.Close()
	// Bitswap leaves its handlers, which would take messages for ever.
	for _, id := range bitswapProtocols {
		x.cfg.Host.RemoveStreamHandler(id)
	}
	if x.dht != nil {
		if e := x.dht.Close(); err == nil {
			err = e
		}
	}
	x.running.Wait()
	x.metrics.unregister()
	return err
}
