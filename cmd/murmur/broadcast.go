package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"
)

// broadcastCmd drives a running origin.
type broadcastCmd struct {
	API   string `name:"api" placeholder:"URL" help:"Where the origin serves its page (default: what the origin on this machine wrote down in --dir, else http://127.0.0.1:8480)."`
	Token string `help:"The origin's token (default: what the origin on this machine wrote down in --dir)."`
	Dir   string `type:"path" placeholder:"DIR" help:"The origin's --dir (default: murmur in the user's configuration folder)."`
	JSON  bool   `name:"json" help:"Print what the origin answers, as JSON on standard output."`

	Start broadcastStartCmd `cmd:"" help:"Open a broadcast, and print what its encoder needs."`
	Stop  broadcastStopCmd  `cmd:"" help:"End broadcasts now, without waiting for the grace."`
	Ls    broadcastLsCmd    `cmd:"" help:"List broadcasts, newest first."`
	Title broadcastTitleCmd `cmd:"" help:"Give a broadcast another title, also while it is live."`
}

// Help is shown below the flags.
func (broadcastCmd) Help() string {
	return `A running origin takes these over HTTP; what it can do is described at http://127.0.0.1:8480/api/v1/openapi.json.
It keeps its address and its token in the file origin.json in its --dir, for its owner only: on the same machine nothing
need be given. From another one:
  MURMUR_TOKEN=... murmur broadcast --api https://venue.example:8480 ls
  (the origin: --http 0.0.0.0:8480 --tls-cert cert.pem --tls-key key.pem)

Examples:
  murmur broadcast start "Opening keynote"        a stream key of its own, void when the talk is over
  murmur broadcast start "Talk 2" --key KEY       what the stage's encoder sends next goes here
  murmur broadcast start "Board meeting" --private    only who has the link that it prints can watch
  murmur broadcast start "Talk 3" --track de      with a second sound, whose encoder sends to the key with ?track=de
  murmur broadcast ls
  murmur broadcast title ID "Closing keynote"
  murmur broadcast stop ID`
}

type broadcastStartCmd struct {
	Title   string         `arg:"" optional:"" help:"Its title (default: that of the stream key's stage, or the origin's)."`
	Key     string         `placeholder:"KEY" help:"Stream key for its encoder: one of the origin's standing ones, or one for this broadcast alone (default: a random one)."`
	Private bool           `help:"Only who has its link can watch: what peers carry and keep is encrypted."`
	Grace   *time.Duration `placeholder:"30s" help:"How long a feed that broke off may take to come back (default: the origin's)."`
	Webhook string         `placeholder:"URL" help:"A URL to tell of its start, first picture, end and recording."`
	Track   []string       `placeholder:"NAME" help:"A further track, from an encoder of its own: a language, such as de, or another quality (repeat it for more)."`
	Wait    bool           `help:"Stay until it is on air."`
}

// Run is called by kong.
func (c broadcastStartCmd) Run(e *env, parent *broadcastCmd) error {
	api, err := parent.connect(e)
	if err != nil {
		return err
	}
	ask := map[string]any{}
	if c.Title != "" {
		ask["title"] = c.Title
	}
	if c.Key != "" {
		ask["key"] = c.Key
	}
	if c.Private {
		ask["private"] = true
	}
	if c.Grace != nil {
		ask["grace_s"] = c.Grace.Seconds()
	}
	if c.Webhook != "" {
		ask["webhook"] = c.Webhook
	}
	if len(c.Track) > 0 {
		ask["tracks"] = append([]string{"main"}, c.Track...)
	}
	var b broadcastInfo
	raw, err := api.call(e.ctx, "POST", "broadcasts", ask, &b)
	if err != nil {
		return err
	}
	e.say("broadcast %s   %q", b.ID, b.Title)
	e.say("encoder   server %s   stream key %s", b.RTMP, b.Key)
	for _, t := range b.Tracks {
		if t.Name != "main" {
			e.say("track     %-8s stream key %s", t.Name, t.Key)
		}
	}
	e.say("page      %s", b.Page)
	e.say("share     murmur viewer '%s'", b.Link)
	if b.Private {
		e.say("private   who has this link can watch, and nobody else: the channel's own link does not open it")
	}
	if parent.JSON {
		err = printJSON(e, raw)
	} else {
		_, err = fmt.Fprintln(e.stdout, b.ID)
	}
	if err != nil || !c.Wait {
		return err
	}
	return c.wait(e, api, b)
}

// wait tells how the broadcast comes to life, until it is on air or over.
func (c broadcastStartCmd) wait(e *env, api *nodeAPI, b broadcastInfo) error {
	e.say("waiting   for the encoder; Ctrl-C stops the waiting, not the broadcast")
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	fed := false
	for {
		if _, err := api.call(e.ctx, "GET", "broadcasts/"+url.PathEscape(b.ID), nil, &b); err != nil {
			return err
		}
		switch {
		case b.State == "ended":
			return fmt.Errorf("broadcast %s ended before it was on air", b.ID)
		case b.State == "live":
			e.say("on air    %q (%s)", b.Title, b.ID)
			return nil
		case b.Feed && !fed:
			e.say("feed      has come; its first picture is awaited")
		case !b.Feed && fed:
			e.say("feed      is gone again")
		}
		fed = b.Feed
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return nil
		}
	}
}

type broadcastStopCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Which (default: the one that is open, where there is just one)."`
	All bool     `help:"All that are open."`
}

// Run is called by kong.
func (c broadcastStopCmd) Run(e *env, parent *broadcastCmd) error {
	api, err := parent.connect(e)
	if err != nil {
		return err
	}
	if len(c.IDs) > 0 && c.All {
		return usage(fmt.Errorf("give ids or --all, not both"))
	}
	ids := c.IDs
	if len(ids) == 0 {
		var list broadcastList
		if _, err := api.call(e.ctx, "GET", "broadcasts", nil, &list); err != nil {
			return err
		}
		for _, b := range list.Broadcasts {
			if b.State != "ended" {
				ids = append(ids, b.ID)
			}
		}
		if len(ids) == 0 {
			e.say("no broadcast is open")
		}
		if len(ids) > 1 && !c.All {
			return usage(fmt.Errorf("%d broadcasts are open: say which, or --all (murmur broadcast ls lists them)", len(ids)))
		}
	}
	for _, id := range ids {
		if _, err := api.call(e.ctx, "DELETE", "broadcasts/"+url.PathEscape(id), nil, nil); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		e.say("ended     %s", id)
	}
	if parent.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]any{"ended": append([]string{}, ids...)})
	}
	return nil
}

type broadcastLsCmd struct {
	Open bool `help:"Only those that have not ended."`
}

// Run is called by kong.
func (c broadcastLsCmd) Run(e *env, parent *broadcastCmd) error {
	api, err := parent.connect(e)
	if err != nil {
		return err
	}
	var list broadcastList
	raw, err := api.call(e.ctx, "GET", "broadcasts", nil, &list)
	if err != nil {
		return err
	}
	if parent.JSON && !c.Open {
		return printJSON(e, raw)
	}
	shown := []broadcastInfo{}
	for _, b := range list.Broadcasts {
		if !c.Open || b.State != "ended" {
			shown = append(shown, b)
		}
	}
	if parent.JSON {
		return json.NewEncoder(e.stdout).Encode(broadcastList{shown})
	}
	if len(shown) == 0 {
		e.say("no broadcasts yet")
		return nil
	}
	out := tabwriter.NewWriter(e.stdout, 0, 0, 3, ' ', 0)
	row := func(cells ...any) { fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", cells...) }
	row("ID", "STATE", "STARTED", "FOR", "STREAM KEY", "TITLE")
	for _, b := range shown {
		row(b.ID, b.state(), b.when(), b.span(time.Now()), b.Key, b.Title)
	}
	return out.Flush()
}

type broadcastTitleCmd struct {
	ID    string `arg:"" name:"id" help:"Which."`
	Title string `arg:"" help:"Its new title."`
}

// Run is called by kong.
func (c broadcastTitleCmd) Run(e *env, parent *broadcastCmd) error {
	api, err := parent.connect(e)
	if err != nil {
		return err
	}
	var b broadcastInfo
	raw, err := api.call(e.ctx, "PATCH", "broadcasts/"+url.PathEscape(c.ID), map[string]any{"title": c.Title}, &b)
	if err != nil {
		return err
	}
	e.say("title     %q (%s)", b.Title, b.ID)
	if parent.JSON {
		return printJSON(e, raw)
	}
	return nil
}
