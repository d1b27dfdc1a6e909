// Package kubo runs a real IPFS node, kubo, for tests: so that what is said about IPFS is tried on the program that most
// of its nodes run. It is for tests only.
//
//	node := kubo.Start(t, kubo.Config{})                  // builds the program the first time: some minutes
//	node.Connect(t, ours.ID(), ours.Addrs()...)           // ipfs swarm connect
//	node.Run(t, "pin", "add", root.String())              // any command; its output is returned
//	resp, err := http.Get(node.Gateway + "/ipfs/" + root) // its own gateway
//
// A daemon has a repository of its own in a folder of the test, listens on loopback at ports that the system chose,
// knows no bootstrap peers and looks for none; it is stopped when the test ends.
package kubo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Version is the version of kubo that is run.
const Version = "v0.43.0"

// ProgramEnv names the environment variable that holds the path of an ipfs program to use in place of the built one.
const ProgramEnv = "MURMUR_KUBO"

// startTimeout is how long a daemon may take to listen.
const startTimeout = time.Minute

var build = sync.OnceValues(func() (string, error) { return program(context.Background()) })

// Program returns the path of the ipfs program, built once into the user's cache folder (murmuration/ipfs-VERSION): one
// to four minutes the first time, with the modules of kubo downloaded. It skips the test under -short where it is not
// built yet.
func Program(t testing.TB) string {
	t.Helper()
	if path, err := cached(); testing.Short() && err == nil {
		if _, err := os.Stat(path); err != nil {
			t.Skip("kubo is not built yet, and -short is set")
		}
	}
	path, err := build()
	if err != nil {
		t.Fatalf("kubo: %v", err)
	}
	return path
}

func cached() (string, error) {
	if path := os.Getenv(ProgramEnv); path != "" {
		return path, nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := "ipfs-" + Version
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(folder, "murmuration", name), nil
}

func program(ctx context.Context) (string, error) {
	path, err := cached()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	// Two test programs may come here at the same time: one builds, the other waits.
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/ipfs/kubo@"+Version)
	download.Dir = os.TempDir() // outside of this module
	out, err := download.Output()
	if err != nil {
		return "", fmt.Errorf("download: %w: %s", err, out)
	}
	var module struct{ Dir, Error string }
	if err := json.Unmarshal(out, &module); err != nil || module.Dir == "" {
		return "", fmt.Errorf("download: %s: %w", module.Error, err)
	}
	// nofuse and noplugin leave out mounting and loadable plugins, which need no test here.
	fresh := path + ".new"
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nofuse,noplugin", "-ldflags", "-s -w", "-o", fresh, "./cmd/ipfs")
	compile.Dir = module.Dir
	compile.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, os.Rename(fresh, path)
}

// Config says what a daemon is like. The zero value has no routing: it knows those it is connected to.
type Config struct {
	// Routing is kubo's Routing.Type: none (the default), dht, dhtserver, ...
	Routing string

	// Listen are the multiaddrs of its swarm. The default is TCP and QUIC on 127.0.0.1, at any port.
	Listen []string

	// Settings are further settings, by name (such as "Internal.Bitswap.TaskWorkerCount") and JSON value.
	Settings map[string]string
}

// Daemon is a running kubo.
type Daemon struct {
	// Peer is its libp2p identity, at its addresses.
	Peer peer.AddrInfo
	// API and Gateway are its HTTP addresses, without a slash at the end.
	API, Gateway string
	// Repo is its repository, IPFS_PATH.
	Repo string

	program string
	command *exec.Cmd
	output  *tail
	ended   chan struct{}
}

// Start starts a daemon and waits until it listens. It is stopped at the end of the test.
func Start(t testing.TB, cfg Config) *Daemon {
	t.Helper()
	d := &Daemon{program: Program(t), Repo: t.TempDir(), output: &tail{}, ended: make(chan struct{})}
	if cfg.Routing == "" {
		cfg.Routing = "none"
	}
	if cfg.Listen == nil {
		cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	swarm, err := json.Marshal(cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	d.Run(t, "init", "--profile=test", "--empty-repo")
	settings := map[string]string{
		"Addresses.Swarm":                string(swarm),
		"Addresses.API":                  `"/ip4/127.0.0.1/tcp/0"`,
		"Addresses.Gateway":              `"/ip4/127.0.0.1/tcp/0"`,
		"Bootstrap":                      `[]`,
		"AutoConf.Enabled":               `false`,
		"AutoTLS.Enabled":                `false`,
		"DNS.Resolvers":                  `{}`,
		"Discovery.MDNS.Enabled":         `false`,
		"Routing.Type":                   `"` + cfg.Routing + `"`,
		"Routing.DelegatedRouters":       `[]`,
		"Ipns.DelegatedPublishers":       `[]`,
		"Swarm.RelayClient.Enabled":      `false`,
		"Swarm.DisableNatPortMap":        `true`,
		"Version.SwarmCheckEnabled":      `false`,
		"Plugins.Plugins.telemetry":      `{"Disabled": true}`,
		"Gateway.NoFetch":                `false`,
		"HTTPRetrieval.Enabled":          `false`,
		"Provide.Enabled":                `true`,
		"Swarm.ResourceMgr.Enabled":      `true`,
		"Swarm.Transports.Network.Relay": `false`,
	}
	for name, value := range cfg.Settings {
		settings[name] = value
	}
	d.configure(t, settings)
	// Not the test's context: that ends before the cleanup that stops the daemon in an orderly way.
	d.command = exec.CommandContext(context.Background(), d.program, "daemon", "--enable-gc=false", "--migrate=false")
	d.command.Env = d.environment()
	d.command.Stdout, d.command.Stderr = d.output, d.output
	if err := d.command.Start(); err != nil {
		t.Fatalf("kubo: %v", err)
	}
	go func() {
		_ = d.command.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() { d.Stop() })
	d.wait(t)
	return d
}

// environment leaves out what the user's own IPFS settings would change.
func (d *Daemon) environment() []string {
	var kept []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "IPFS_") && !strings.HasPrefix(e, "LIBP2P_") {
			kept = append(kept, e)
		}
	}
	return append(kept, "IPFS_PATH="+d.Repo, "IPFS_TELEMETRY=off", "GOLOG_LOG_LEVEL=error")
}

// configure writes settings into the repository's configuration file, all at once.
func (d *Daemon) configure(t testing.TB, settings map[string]string) {
	t.Helper()
	path := filepath.Join(d.Repo, "config")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for name, value := range settings {
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			t.Fatalf("kubo: setting %s: %v", name, err)
		}
		at := config
		keys := strings.Split(name, ".")
		for _, key := range keys[:len(keys)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		at[keys[len(keys)-1]] = v
	}
	if data, err = json.MarshalIndent(config, "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the daemon's word that it is ready, and learns its addresses.
func (d *Daemon) wait(t testing.TB) {
	t.Helper()
	select {
	case <-d.output.ready():
	case <-d.ended:
		t.Fatalf("kubo ended:\n%s", d.output)
	case <-time.After(startTimeout):
		t.Fatalf("kubo does not start:\n%s", d.output)
	}
	address := func(file string) string {
		data, err := os.ReadFile(filepath.Join(d.Repo, file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimRight(strings.TrimSpace(string(data)), "/")
	}
	d.Gateway = address("gateway")
	api, err := multiaddr.NewMultiaddr(address("api"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := api.ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	d.API = "http://127.0.0.1:" + port
	var id struct {
		ID        string
		Addresses []string
	}
	if err := json.Unmarshal([]byte(d.Run(t, "id")), &id); err != nil {
		t.Fatal(err)
	}
	for _, a := range id.Addresses {
		info, err := peer.AddrInfoFromString(a)
		if err != nil {
			t.Fatal(err)
		}
		d.Peer.ID = info.ID
		d.Peer.Addrs = append(d.Peer.Addrs, info.Addrs...)
	}
}

// Run runs an ipfs command and returns its output. It fails the test where the command fails.
func (d *Daemon) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := d.Try(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try runs an ipfs command until ctx ends and returns its standard output. The error holds what it said.
func (d *Daemon) Try(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, d.program, args...)
	command.Env = d.environment()
	command.Dir = d.Repo
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("ipfs %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// Connect makes the daemon connect to a node at one of its addresses.
func (d *Daemon) Connect(t testing.TB, p peer.AddrInfo) {
	t.Helper()
	addrs, err := peer.AddrInfoToP2pAddrs(&p)
	if err != nil || len(addrs) == 0 {
		t.Fatalf("kubo: no addresses of %s: %v", p.ID, err)
	}
	var failed error
	for _, a := range addrs {
		_, err := d.Try(t.Context(), "swarm", "connect", a.String())
		if err == nil {
			return
		}
		failed = errors.Join(failed, err)
	}
	t.Fatal(failed)
}

// Output returns the end of what the daemon has said.
func (d *Daemon) Output() string { return d.output.String() }

// Stop stops the daemon: by asking, and after ten seconds by force. It may be called again.
func (d *Daemon) Stop() {
	_ = d.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		_ = d.command.Process.Kill()
		<-d.ended
	}
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
	on   chan struct{}
	said bool
}

const tailBytes = 64 << 10

func (w *tail) ready() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.channel()
}

func (w *tail) channel() chan struct{} {
	if w.on == nil {
		w.on = make(chan struct{})
	}
	return w.on
}

// Write implements io.Writer.
func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data = append(w.data, p...)
	if len(w.data) > tailBytes {
		w.data = append(w.data[:0], w.data[len(w.data)-tailBytes:]...)
	}
	if !w.said && bytes.Contains(w.data, []byte("Daemon is ready")) {
		w.said = true
		close(w.channel())
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.data)
}

var _ io.Writer = (*tail)(nil)
