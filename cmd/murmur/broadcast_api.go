package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"murmuration/node"
)

const (
	defaultAPI = "http://127.0.0.1:8480"
	maxAnswer  = 4 << 20
)

// originAPI is a running origin.
type originAPI struct {
	base  string
	token string
	found bool // by its file: it may have been killed since
}

// broadcastInfo is what the commands need of an answer.
type broadcastInfo struct {
	ID      string     `json:"id"`
	Title   string     `json:"title"`
	State   string     `json:"state"`
	Feed    bool       `json:"feed"`
	Started *time.Time `json:"started"`
	Ended   *time.Time `json:"ended"`
	Link    string     `json:"link"`
	Page    string     `json:"page"`
	RTMP    string     `json:"rtmp,omitempty"`
	Key     string     `json:"key,omitempty"`
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
func (c *broadcastCmd) connect(e *env) (*originAPI, error) {
	api := &originAPI{base: strings.TrimSuffix(c.API, "/"), token: c.Token}
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

// call asks the origin for something under /api/v1/ and reads its answer into v. It returns the answer as it came.
func (a *originAPI) call(ctx context.Context, method, path string, ask, v any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var body io.Reader
	if ask != nil {
		text, err := json.Marshal(ask)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+"/api/v1/"+path, body)
	if err != nil {
		return nil, usage(fmt.Errorf("--api: %w", err))
	}
	if ask != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, a.explain(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, a.explain(err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, a.refused(resp, text)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			return nil, fmt.Errorf("what answers at %s is not an origin: %w", a.base, err)
		}
	}
	return text, nil
}

// explain says what to do where nobody answered.
func (a *originAPI) explain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && a.found:
		return fmt.Errorf("no origin runs at %s any more: the last one ended abruptly (start one with: murmur origin)", a.base)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no origin runs at %s (start one with: murmur origin; or say where it is with --api, or its folder with --dir)", a.base)
	}
	return fmt.Errorf("the origin at %s: %w", a.base, err)
}

// refused turns an answer that is no success into an error.
func (a *originAPI) refused(resp *http.Response, text []byte) error {
	var said struct{ Error string }
	isAPI := json.Unmarshal(text, &said) == nil && said.Error != ""
	switch {
	case resp.StatusCode == http.StatusUnauthorized && a.token == "":
		return usage(fmt.Errorf("the origin at %s wants its token: give it with --token or MURMUR_TOKEN (it is in origin.json in the origin's folder)", a.base))
	case resp.StatusCode == http.StatusUnauthorized:
		return usage(fmt.Errorf("the token is not that of the origin at %s", a.base))
	case isAPI && resp.StatusCode == http.StatusUnprocessableEntity:
		return usage(errors.New(said.Error))
	case isAPI:
		return errors.New(said.Error)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Errorf("what answers at %s is not an origin: it may be a viewer, a seed or an older murmur", a.base)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("the origin at %s answers %s: %.200s", a.base, resp.Status, line)
}

// printJSON prints an answer as it came.
func printJSON(e *env, raw []byte) error {
	_, err := e.stdout.Write(raw)
	return err
}
