package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"murmuration/node"
)

const defaultAPI = "http://127.0.0.1:8480"

// broadcastInfo is what the commands need of an answer.
type broadcastInfo struct {
	ID      string     `json:"id"`
	Title   string     `json:"title"`
	State   string     `json:"state"`
	Feed    bool       `json:"feed"`
	Started *time.Time `json:"started"`
	Ended   *time.Time `json:"ended"`
	Private bool       `json:"private"`
	Link    string     `json:"link"`
	Page    string     `json:"page"`
	RTMP    string     `json:"rtmp,omitempty"`
	Key     string     `json:"key,omitempty"`

	Tracks []struct {
		Name string `json:"name"`
		Key  string `json:"key,omitempty"`
	} `json:"tracks"`
}

type broadcastList struct {
	Broadcasts []broadcastInfo `json:"broadcasts"`
}

func (b broadcastInfo) state() string {
	if b.State == "live" && !b.Feed {
		return "feed lost"
	}
	return b.State
}

func (b broadcastInfo) when() string {
	if b.Started == nil {
		return "-"
	}
	return b.Started.Local().Format("Jan _2 15:04:05")
}

func (b broadcastInfo) span(now time.Time) string {
	if b.Started == nil {
		return "-"
	}
	if b.Ended != nil {
		now = *b.Ended
	}
	return max(now.Sub(*b.Started), 0).Round(time.Second).String()
}

// connect finds the origin: as the flags say, else by the file that an origin on this machine keeps.
func (c *broadcastCmd) connect(e *env) (*nodeAPI, error) {
	api := &nodeAPI{who: "origin", base: strings.TrimSuffix(c.API, "/"), token: c.Token}
	if u, err := url.Parse(api.base); c.API != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return nil, usage(fmt.Errorf("--api %q is not a URL such as %s", c.API, defaultAPI))
	}
	if api.base == "" || api.token == "" {
		r, err := node.FindOrigin(c.Dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			e.log.Warn("the file of the origin on this machine cannot be read", "err", err)
		case api.base == "" || api.base == r.API:
			api.base, api.found = r.API, true
			api.file = func() (node.Running, error) { return node.FindOrigin(c.Dir) }
			if api.token == "" {
				api.token = r.Token
			}
		}
	}
	if api.base == "" {
		api.base = defaultAPI
	}
	return api, nil
}
