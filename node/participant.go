package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// participant is what every role has: a mesh node, the local HTTP face and metrics, and what the page is about.
type participant struct {
	cfg     Config
	name    string // of the role, in the status
	log     *slog.Logger
	mesh    *mesh.Node
	shim    *shim.Server
	library *library
	secrets *keyring // of private broadcasts; nil where they are carried and not shown
	started time.Time
	removed func(i archive.Info, listed bool) // told of a recording that was deleted by hand; may be nil

	mu      sync.Mutex
	channel envelope.Channel                // what it is tuned to; a seed's first
	title   string                          // of the channel
	link    mesh.Link                       // to hand out
	titles  map[string]string               // of broadcasts whose title has changed, by id
	opened  map[archive.Key]*shim.Broadcast // recordings that are open on the local face
	apart   []mesh.BroadcastInfo            // private broadcasts that are on and were passed over
	files   []string                        // by which programs on this machine find it
}

func newParticipant(name string, role mesh.Role, cfg Config) (*participant, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p := &participant{cfg: cfg, name: name, log: cfg.Log, started: time.Now()}
	var err error
	if name != "seed" {
		if p.secrets, err = openKeyring(cfg.Dir); err != nil {
			return nil, err
		}
	}
	p.mesh, err = mesh.New(mesh.Config{
		Key: cfg.Key, Role: role, Listen: cfg.Listen, Announce: cfg.Announce, Upload: cfg.Upload, MDNS: !cfg.NoMDNS,
		Version: Version, Log: cfg.Log, Metrics: metrics,
	})
	if errors.Is(err, mesh.ErrConfig) {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err != nil {
		return nil, explainListen(err, "--listen")
	}
	p.shim, err = shim.New(shim.Config{
		Listen: cfg.HTTP, TLSCert: cfg.TLSCert, TLSKey: cfg.TLSKey, Renewed: p.renewed, Token: cfg.Token, AllowHosts: cfg.AllowHosts, Window: cfg.Window,
		Status: p.status, Recording: p.openRecorded, OpenContent: name == "origin" || name == "seed", Metrics: metrics, Log: cfg.Log,
	})
	if err != nil {
		p.mesh.Close()
		if errors.Is(err, shim.ErrCertificate) {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		return nil, explainListen(err, "--http")
	}
	if err := p.openLibrary(metrics); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.serveAPI(p.apiRoutes())
	p.log.Info("started", "role", name, "peer", p.mesh.ID(), "http", p.shim.Addr(), "token", cfg.Token)
	return p, nil
}

// openLibrary opens what is kept, and serves it to other nodes and to players.
func (p *participant) openLibrary(metrics prometheus.Registerer) (err error) {
	if p.library, err = openLibrary(p.cfg.Recordings, p.mesh, p.cfg.Upload, metrics, p.log); err != nil {
		if errors.Is(err, archive.ErrLocked) {
			without := map[string]string{"viewer": "leave out --record", "replay": "leave out --keep"}[p.name]
			if without == "" {
				without = "keep none with --no-record"
			}
			return fmt.Errorf("%w: choose another folder with --recordings, or %s", err, without)
		}
		return err
	}
	p.library.secrets = p.secrets
	h, err := p.library.gateway()
	if err != nil {
		return err
	}
	patient := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A recording is gigabytes. The gateway itself bounds how long it waits for each piece.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(contentTimeout)); err != nil {
			p.log.Debug("no deadline for a recording", "err", err)
		}
		h.ServeHTTP(w, r)
	})
	p.shim.Handle("GET /ipfs/", patient)
	p.shim.Handle("GET /ipns/", patient)
	if p.library.store == nil {
		return nil
	}
	if err := p.declare(p.runningFile()); err != nil {
		p.log.Warn("murmur recordings cannot change what is kept while this runs", "err", err) // a full disk, say
	}
	return nil
}

// contentTimeout bounds the sending of one file of a recording.
const contentTimeout = time.Hour

// runningFile is the file by which programs find who has the recordings open.
func (p *participant) runningFile() string { return filepath.Join(p.library.cfg.Dir, runningFile) }

// running tells programs on the same machine where this participant takes requests.
func (p *participant) running() Running {
	return Running{Role: p.name, API: strings.TrimSuffix(p.shim.LocalURL(), "/"), Token: p.Token(), Pin: p.shim.Pin()}
}

// declare writes a file by which programs on the same machine find this participant.
func (p *participant) declare(path string) error {
	p.mu.Lock()
	p.files = append(p.files, path)
	p.mu.Unlock()
	return writeRunning(path, p.running())
}

// renewed writes the files anew, with the pin of a renewed certificate.
func (p *participant) renewed() {
	p.mu.Lock()
	files := slices.Clone(p.files)
	p.mu.Unlock()
	for _, path := range files {
		if !ours(path, p.Token()) {
			continue
		}
		if err := writeRunning(path, p.running()); err != nil {
			p.log.Warn("murmur's commands will not know the renewed certificate", "file", path, "err", err)
		}
	}
}

// explainListen turns what the system said about an address into what to do about it.
func explainListen(err error, flag string) error {
	if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, shim.ErrPortInUse) || errors.Is(err, mesh.ErrListen) {
		return fmt.Errorf("%w: %w (is another murmur running? choose another address with %s)", ErrListen, err, flag)
	}
	return err
}

// run serves HTTP and the role's own work until ctx ends or one of them fails.
func (p *participant) run(ctx context.Context, work ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range append(work, p.shim.Serve, p.library.balance, p.upkeep) {
		group.Go(func() error { return w(ctx) })
	}
	return group.Wait()
}

func (p *participant) upkeep(ctx context.Context) error {
	return p.library.upkeep(ctx, p.cfg.Tell, p.shim.Changed)
}

// PageURL returns the address of the page, with a slash at its end.
func (p *participant) PageURL() string { return strings.TrimSuffix(p.shim.URL(), "/") + "/" }

// Token returns what HTTP requests that change anything must carry.
func (p *participant) Token() string { return p.cfg.Token }

// Close lets go of everything. Players' waiting requests end.
func (p *participant) Close() error {
	errs := []error{closed(p.shim.Close())}
	if p.library != nil {
		if p.library.store != nil { // while the lock keeps others from writing theirs
			errs = append(errs, removeRunning(p.runningFile(), p.Token()))
		}
		errs = append(errs, p.library.close())
	}
	errs = append(errs, closed(p.mesh.Close()))
	if p.cfg.held != nil {
		errs = append(errs, p.cfg.held.Close())
		p.cfg.held = nil
	}
	return errors.Join(errs...)
}

// closed takes being closed already for success: Run closes what it served when its context ends.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// tune says which channel the page is about.
func (p *participant) tune(title string, link mesh.Link) {
	p.mu.Lock()
	p.channel, p.title, p.link = link.Channel, title, link
	p.mu.Unlock()
	p.shim.Changed()
}

// LogLibraries sends what the network libraries log to log, as debug messages. Call it once, before the first
// participant.
func LogLibraries(log *slog.Logger) { mesh.SetLibraryLog(log) }
