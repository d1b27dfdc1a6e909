// Command murmur is what everybody in a broadcast runs: origin, viewer, seed, a demo of the three in one process,
// and a simulator of hundreds.
// It parses flags, prints, and hands the work to package node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"murmuration/node"
)

const about = `Live video without a CDN: everybody who watches passes the stream on.

Start here:
  murmur demo                          see it work: test picture, five seeds, a viewer
  murmur origin                        at the venue: push RTMP to it, hand out the link it prints
  murmur broadcast start "A talk"      open a broadcast on the running origin, with a stream key of its own
  murmur viewer murmur://12D3KooW...   watch in the browser, VLC or mpv
  murmur seed murmur://12D3KooW...     help to carry a broadcast
  murmur sim venue50                   measure it with fifty peers on a simulated internet

Every flag can also be set by an environment variable (MURMUR_ and its name, shown in each command's --help) or in
the YAML file ~/.config/murmur/config.yaml, under the command's name:
  origin:
    title: RustFest
    rtmp: 0.0.0.0:1935

Exit codes: 0 done or stopped by a signal, 1 something failed, 2 wrong usage, 3 a key, certificate or config file is
unusable, 4 an address cannot be listened on, 5 the feed is unusable, 6 the recordings are.`

// cli is the command line. Kong reads the tags.
type cli struct {
	Config  configFile `help:"YAML file with flags." placeholder:"FILE"`
	Verbose int        `short:"v" type:"counter" help:"Tell what happens (-vv: in detail)."`
	LogJSON bool       `name:"log-json" help:"Log as JSON lines."`

	PrintVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version, like the command."`

	Origin     originCmd     `cmd:"" help:"Publish a broadcast: takes a feed by RTMP, file or pipe."`
	Broadcast  broadcastCmd  `cmd:"" help:"Start, stop, list and name the broadcasts of a running origin."`
	Viewer     viewerCmd     `cmd:"" help:"Watch a broadcast, and pass it on."`
	Seed       seedCmd       `cmd:"" help:"Help to carry broadcasts without watching."`
	Replay     replayCmd     `cmd:"" help:"Play a recording, fetching what is watched of it."`
	Recordings recordingsCmd `cmd:"" help:"List, export, import, pin, check and delete the recordings on this machine."`
	Demo       demoCmd       `cmd:"" help:"All of it in one process, on this machine only, with a test picture."`
	Sim        simCmd        `cmd:"" help:"Simulate a broadcast with hundreds of peers, and measure it."`
	ID         idCmd         `cmd:"" name:"id" help:"Print this machine's peer ID and channel, making the keys where there are none."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// env is what the commands share: streams and the logger.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	log    *slog.Logger
}

// say prints a line for the human who started the command.
func (e *env) say(format string, args ...any) {
	fmt.Fprintf(e.stderr, format+"\n", args...)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	code := -1
	options := []kong.Option{
		kong.Name("murmur"), kong.Description(about), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("MURMUR"), kong.Writers(stdout, stderr), kong.Exit(func(n int) { code = n }),
		kong.Vars{"version": "murmur " + node.Version},
	}
	usual, err := usualConfig()
	if err != nil {
		return fail(stderr, err)
	}
	options = append(options, kong.Resolvers(usual))
	parser, err := kong.New(&c, options...)
	if err != nil {
		return fail(stderr, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help, --version
		return code
	}
	if err != nil {
		return fail(stderr, usage(err))
	}
	e := &env{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, log: logger(c, stderr)}
	node.LogLibraries(e.log)
	if err := parsed.Run(e); err != nil && !errors.Is(err, context.Canceled) {
		return fail(stderr, err)
	}
	return 0
}

// logger is quiet by default: warnings only.
func logger(c cli, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	switch {
	case c.Verbose >= 2:
		options.Level = slog.LevelDebug
	case c.Verbose == 1:
		options.Level = slog.LevelInfo
	}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "murmur", node.Version)
	return err
}
