package node

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	webhookTimeout = 10 * time.Second // of one try
	webhookFlush   = 2 * time.Second  // for what is still under way when the origin stops
	// maxPerHook bounds what waits for one URL about one broadcast, and maxPerOrigin all that waits.
	maxPerHook   = 64
	maxPerOrigin = 4096
	maxWebhook   = 2048 // bytes of a URL
)

// webhookPauses are the pauses between the tries of a delivery: a receiver that restarts misses nothing, one that is gone
// for longer than six minutes does.
var webhookPauses = []time.Duration{
	time.Second, 3 * time.Second, 9 * time.Second, 27 * time.Second, 81 * time.Second, 240 * time.Second,
}

// webhookEvent is the body of a delivery. Every try of it has the same one.
type webhookEvent struct {
	ID        string         `json:"id"` // of the delivery: a receiver that sees it again may pass it over
	Time      time.Time      `json:"time"`
	Event     string         `json:"event"`
	Broadcast broadcastJSON  `json:"broadcast"`
	Recording *recordingJSON `json:"recording,omitempty"`
}

// webhookConfig configures webhooks.
type webhookConfig struct {
	URLs   []string // told of every broadcast
	Secret string   // signs; empty: unsigned
	Log    *slog.Logger
	Send   http.RoundTripper // default: one of its own
}

// webhooks tells URLs what happens to broadcasts. It never keeps the caller waiting: for each URL and broadcast there is
// a queue of bounded length, emptied in order by a goroutine that ends when there is nothing left.
type webhooks struct {
	cfg    webhookConfig
	client *http.Client

	ctx     context.Context // of tries and pauses
	stop    context.CancelFunc
	hurry   chan struct{} // closed on shutdown: pauses end
	wait    sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	queues  map[queueName][]delivery
	waiting int
}

type queueName struct{ broadcast, url string }

type delivery struct {
	id, event string
	body      []byte
}

func newWebhooks(cfg webhookConfig) *webhooks {
	h := &webhooks{cfg: cfg, hurry: make(chan struct{}), queues: map[queueName][]delivery{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	if cfg.Send == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = 2, 8
		transport.MaxResponseHeaderBytes = 64 << 10
		cfg.Send = transport
	}
	h.client = &http.Client{
		Transport: cfg.Send, Timeout: webhookTimeout,
		// Where it leads is not what the organiser configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h
}

// tell queues an event for the origin's URLs and for further ones.
func (h *webhooks) tell(e webhookEvent, further ...string) {
	urls := map[string]bool{}
	for _, u := range append(further, h.cfg.URLs...) {
		if u != "" {
			urls[u] = true
		}
	}
	if len(urls) == 0 {
		return
	}
	e.ID, e.Time = "evt-"+randomHex(12), time.Now().UTC().Truncate(time.Millisecond)
	body, err := json.Marshal(e)
	if err != nil {
		h.cfg.Log.Error("webhook", "err", err)
		return
	}
	d := delivery{id: e.ID, event: e.Event, body: body}
	for u := range urls {
		h.queue(queueName{e.Broadcast.ID, u}, d)
	}
}

func (h *webhooks) queue(name queueName, d delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q, running := h.queues[name]
	if h.closed || len(q) >= maxPerHook || h.waiting >= maxPerOrigin {
		h.cfg.Log.Error("webhook dropped: too much waits already, or the origin has stopped",
			"url", plainURL(name.url), "broadcast", name.broadcast, "event", d.event, "delivery", d.id)
		return
	}
	h.queues[name] = append(q, d)
	h.waiting++
	if !running {
		h.wait.Go(func() { h.work(name) })
	}
}

// work empties a queue.
func (h *webhooks) work(name queueName) {
	for {
		h.mu.Lock()
		q := h.queues[name]
		if len(q) == 0 {
			delete(h.queues, name)
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		h.deliver(name, q[0])
		h.mu.Lock()
		h.queues[name] = h.queues[name][1:]
		h.waiting--
		h.mu.Unlock()
	}
}

// deliver tries until the receiver takes it, says that it is gone for good, or the tries are used up.
func (h *webhooks) deliver(name queueName, d delivery) {
	log := h.cfg.Log.With("url", plainURL(name.url), "broadcast", name.broadcast, "event", d.event, "delivery", d.id)
	for try := 0; ; try++ {
		began := time.Now()
		code, err := h.post(name.url, d)
		if err == nil {
			log.Info("webhook delivered", "status", code, "tries", try+1, "took", time.Since(began))
			return
		}
		if code == http.StatusGone || try == len(webhookPauses) || h.ctx.Err() != nil || h.hurried() {
			log.Error("webhook not delivered", "tries", try+1, "err", err)
			return
		}
		log.Warn("webhook failed", "tries", try+1, "again_in", webhookPauses[try], "err", err)
		again := time.NewTimer(webhookPauses[try])
		select {
		case <-again.C:
		case <-h.hurry: // one last try
		}
		again.Stop()
	}
}

func (h *webhooks) hurried() bool {
	select {
	case <-h.hurry:
		return true
	default:
		return false
	}
}

// post tries once. Any status but 2xx is an error.
func (h *webhooks) post(to string, d delivery) (int, error) {
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, to, bytes.NewReader(d.body))
	if err != nil {
		return 0, errors.New("the URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "murmur/"+Version)
	req.Header.Set("Murmur-Event", d.event)
	req.Header.Set("Murmur-Delivery", d.id)
	if h.cfg.Secret != "" {
		req.Header.Set("Murmur-Signature", signWebhook(h.cfg.Secret, time.Now(), d.body))
	}
	resp, err := h.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a secret
		}
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, fmt.Errorf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return resp.StatusCode, nil
}

// signWebhook returns the signature header: t=UNIXSECONDS,v1=HEX, where HEX is the HMAC-SHA256 of "UNIXSECONDS.BODY". The
// time in it lets a receiver refuse what is repeated later.
func signWebhook(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// close takes nothing more, gives what waits one last try each, for the given time at most, and ends the rest.
func (h *webhooks) close(flush time.Duration) {
	h.mu.Lock()
	before := h.closed
	h.closed = true
	h.mu.Unlock()
	if !before {
		close(h.hurry)
	}
	timer := time.AfterFunc(flush, h.stop)
	h.wait.Wait()
	timer.Stop()
	h.stop()
	h.client.CloseIdleConnections()
}

// checkWebhook reports whether a URL can be told of events.
func checkWebhook(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxWebhook || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return fmt.Errorf("a webhook is a URL such as https://example.org/hook, of %d bytes at most", maxWebhook)
	}
	return nil
}

// plainURL is a URL as logs may show it: without what may be a secret.
func plainURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
