package exchange

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	bsnetwork "github.com/ipfs/boxo/bitswap/network"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/bitswap/server"
	blocks "github.com/ipfs/go-block-format"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

// Exchange is a node's part in the trade of blocks. Its methods may be called at the same time.
type Exchange struct {
	cfg     Config
	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	net     bsnetwork.BitSwapNetwork
	client  *client
	server  *server.Server // nil: nothing is served
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

// startBitswap starts the asking side, which is ours, and the answering side, which is boxo's.
func (x *Exchange) startBitswap() {
	x.net = guardedNetwork{bsnet.NewFromIpfsHost(x.cfg.Host), x}
	x.client = newClient(x, x.net)
	if x.cfg.Blocks != nil {
		x.server = server.New(x.ctx, x.net, x.local,
			server.MaxQueuedWantlistEntriesPerPeer(uint(x.cfg.Wants)),
			// A recording is served to strangers beside a live broadcast: few reads at once, little in flight to each.
			server.EngineBlockstoreWorkerCount(8),
			server.EngineTaskWorkerCount(4),
			server.TaskWorkerCount(8),
			server.MaxOutstandingBytesPerPeer(1<<20))
	}
	x.net.Start(guard{x})
}

// SetUpload changes the upload limit; 0 is none. It holds from the next message on.
func (x *Exchange) SetUpload(bitsPerSecond int64) { setLimit(x.limit, bitsPerSecond) }

// Learn notes addresses of peers that sessions will be given, such as those of a link or of kubo's "ipfs id", for ten
// minutes.
func (x *Exchange) Learn(peers ...peer.AddrInfo) {
	for _, p := range peers {
		x.cfg.Host.Peerstore().AddAddrs(p.ID, p.Addrs, searchTTL)
	}
}

// Served returns when the last block was sent to somebody; long ago where none was.
func (x *Exchange) Served() time.Time { return time.Unix(0, x.metrics.sentAt.Load()) }

// Added tells peers and sessions that wait for these blocks that Config.Blocks has them now. It need not be called for
// blocks that nobody can have asked for yet.
func (x *Exchange) Added(ctx context.Context, added ...blocks.Block) error {
	x.client.received(nobody, added, nil, nil)
	if x.server == nil {
		return nil
	}
	return x.server.NotifyNewBlocks(ctx, added...)
}

// keepTag protects connections from the host's connection manager.
const keepTag = "murmur-exchange"

// keep holds on to the connection with p as long as sessions want it.
func (x *Exchange) keep(p peer.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept[p]++
	x.cfg.Host.ConnManager().Protect(p, keepTag)
}

func (x *Exchange) release(p peer.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.kept[p]--; x.kept[p] <= 0 {
		delete(x.kept, p)
		x.cfg.Host.ConnManager().Unprotect(p, keepTag)
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
	x.client.close()
	x.net.Stop()
	if x.server != nil {
		x.server.Close()
	}
	// Bitswap leaves its handlers, which would take messages for ever.
	for _, id := range bitswapProtocols {
		x.cfg.Host.RemoveStreamHandler(id)
	}
	var err error
	if x.dht != nil {
		err = x.dht.Close()
	}
	x.running.Wait()
	x.metrics.unregister()
	return err
}
