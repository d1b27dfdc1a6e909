package main

import (
	"encoding/json"
	"time"

	"murmuration/node"
)

type demoCmd struct {
	HTTP  string        `name:"http" default:"127.0.0.1:8480" placeholder:"ADDR" help:"Address of the viewer's page (${default})."`
	Seeds int           `default:"5" help:"Number of seeds (${default})."`
	For   time.Duration `placeholder:"20s" help:"Run unattended for this long, with a built-in player that measures, then print what it measured."`
	JSON  bool          `name:"json" help:"With --for: print the figures as one JSON object."`
	Open  bool          `default:"true" negatable:"" help:"Open the page in the browser when there is one."`
}

// Help is shown below the flags.
func (demoCmd) Help() string {
	return `Examples:
  murmur demo                     watch it in the browser; Ctrl-C ends it
  murmur demo --for 20s --json    measure: latency from capture to player, stalls, losses`
}

// Run is called by kong.
func (c demoCmd) Run(e *env) error {
	d, err := node.NewDemo(node.DemoConfig{
		HTTP: c.HTTP, Seeds: c.Seeds, Tell: func(line string) { e.say("%s", line) }, Log: e.log,
	})
	if err != nil {
		return err
	}
	defer d.Close()
	if c.For == 0 {
		e.say("page      %s", d.PageURL())
		e.say("players   %slive.mp4 (mpv, VLC, ffplay)", d.PageURL())
		e.say("link      %s", d.Link())
		e.say("Ctrl-C ends it.")
		if c.Open {
			openBrowser(e, d.PageURL())
		}
		return d.Run(e.ctx)
	}
	result, err := d.Measure(e.ctx, c.For)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(result)
	}
	e.say("published %d chunks, received %d, missed %d, stalls %d", result.Published, result.Received, result.Missed, result.Stalls)
	e.say("start-up %d ms; capture to player: median %d ms, 95 %% within %d ms, worst %d ms",
		int(result.StartupMS), int(result.LatencyMS.P50), int(result.LatencyMS.P95), int(result.LatencyMS.Max))
	return nil
}
