package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"murmuration/node"
)

// maxAnswer bounds an answer: thousands of recordings fit.
const maxAnswer = 16 << 20

// nodeAPI is a running participant: an origin, a seed.
type nodeAPI struct {
	who   string // its role
	base  string
	token string
	found bool // by its file: it may have been killed since

	// file reads its file, where it was found by that: what is pinned there is asked for when the certificate is seen,
	// since a renewed one is written down just before it is shown.
	file func() (node.Running, error)
}

// call asks the node for something under /api/v1/ and reads its answer into v. It returns the answer as it came.
func (a *nodeAPI) call(ctx context.Context, method, path string, ask, v any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if ask == nil {
		return a.send(ctx, method, path, "", nil, v)
	}
	text, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	return a.send(ctx, method, path, "application/json", bytes.NewReader(text), v)
}

// upload sends something long, of a content type, and reads the answer into v. The answer may take as long as the sending.
func (a *nodeAPI) upload(ctx context.Context, path, kind string, body io.Reader, v any) error {
	_, err := a.send(ctx, http.MethodPost, path, kind, body, v)
	return err
}

func (a *nodeAPI) send(ctx context.Context, method, path, kind string, body io.Reader, v any) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+"/api/v1/"+path, body)
	if err != nil {
		return nil, usage(fmt.Errorf("--api: %w", err))
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	client := http.Client{Transport: a.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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
			return nil, fmt.Errorf("what answers at %s is not %s %s: %w", a.base, article(a.who), a.who, err)
		}
	}
	return text, nil
}

// transport returns what carries requests: to a node found by its file, one that knows its certificate by the pin there,
// since 127.0.0.1 is hardly among the certificate's names.
func (a *nodeAPI) transport() http.RoundTripper {
	if a.file == nil {
		return http.DefaultTransport
	}
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // of the name and the authority: VerifyConnection does it by the pin
		VerifyConnection: func(c tls.ConnectionState) error {
			running, err := a.file()
			if err != nil {
				return err
			}
			return running.Verify(c)
		},
	}}
}

// explain says what to do where nobody answered.
func (a *nodeAPI) explain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	switch {
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the %s at %s: %w", a.who, a.base, err)
	case a.found:
		return fmt.Errorf("no %s runs at %s any more: the last one ended abruptly (start one with: murmur %s)", a.who, a.base, a.who)
	}
	return fmt.Errorf("no %s runs at %s (start one with: murmur %s; or say where it is with --api, or its folder with --dir)", a.who, a.base, a.who)
}

// refused turns an answer that is no success into an error.
func (a *nodeAPI) refused(resp *http.Response, text []byte) error {
	var said struct{ Error string }
	isAPI := json.Unmarshal(text, &said) == nil && said.Error != ""
	switch {
	case resp.StatusCode == http.StatusUnauthorized && a.token == "":
		return usage(fmt.Errorf("the %s at %s wants its token: give it with --token or MURMUR_TOKEN (it is in origin.json in the origin's folder)", a.who, a.base))
	case resp.StatusCode == http.StatusUnauthorized:
		return usage(fmt.Errorf("the token is not that of the %s at %s", a.who, a.base))
	case isAPI && resp.StatusCode == http.StatusUnprocessableEntity:
		return usage(errors.New(said.Error))
	case isAPI:
		return errors.New(said.Error)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return fmt.Errorf("what answers at %s is not %s %s: it may be another role or an older murmur", a.base, article(a.who), a.who)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("the %s at %s answers %s: %.200s", a.who, a.base, resp.Status, line)
}

func article(noun string) string {
	if noun == "origin" {
		return "an"
	}
	return "a"
}

// printJSON prints an answer as it came.
func printJSON(e *env, raw []byte) error {
	_, err := e.stdout.Write(raw)
	return err
}
