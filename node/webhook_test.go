package node

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// receiver is what stands at the other end of webhooks: it answers what it is told to.
type receiver struct {
	mu     sync.Mutex
	answer func(try int, r *http.Request) (int, error) // counted from 0, over all
	got    []receipt
	start  time.Time
}

type receipt struct {
	at     time.Duration // since the receiver's making
	url    string
	header http.Header
	body   []byte
	event  webhookEvent
}

func newReceiver(answer func(try int, r *http.Request) (int, error)) *receiver {
	if answer == nil {
		answer = func(int, *http.Request) (int, error) { return 204, nil }
	}
	return &receiver{answer: answer, start: time.Now()}
}

func (c *receiver) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var e webhookEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	c.mu.Lock()
	try := len(c.got)
	c.got = append(c.got, receipt{time.Since(c.start), r.URL.String(), r.Header, body, e})
	c.mu.Unlock()
	code, err := c.answer(try, r)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if code/100 == 3 {
		header.Set("Location", "http://elsewhere.example/")
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (c *receiver) all() []receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func (c *receiver) events() (list []string) {
	for _, r := range c.all() {
		list = append(list, r.event.Broadcast.ID+" "+r.event.Event)
	}
	return list
}

func about(id, event string) webhookEvent {
	return webhookEvent{Event: event, Broadcast: broadcastJSON{ID: id}}
}

// hooked runs a test in virtual time with webhooks that lead to a receiver.
func hooked(t *testing.T, answer func(int, *http.Request) (int, error), test func(*testing.T, *webhooks, *receiver, *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		c := newReceiver(answer)
		var log bytes.Buffer
		h := newWebhooks(webhookConfig{
			URLs: []string{"http://one.example/hook?secret=s3cret"}, Secret: "key", Send: c, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		defer h.close(0)
		test(t, h, c, &log)
	})
}

// TestWebhookRetries wants the documented pauses, the same body and delivery at each try, and a fresh signature.
func TestWebhookRetries(t *testing.T) {
	answers := []int{500, 0, 404, 302, 429, 503, 204}
	hooked(t, func(try int, _ *http.Request) (int, error) {
		if try >= len(answers) {
			return 204, nil
		}
		if answers[try] == 0 {
			return 0, errors.New("connection refused")
		}
		return answers[try], nil
	}, func(t *testing.T, h *webhooks, c *receiver, log *bytes.Buffer) {
		began := time.Now()
		h.tell(about("a", eventStart))
		h.tell(about("a", eventLive))
		if time.Since(began) != 0 {
			t.Error("telling took time")
		}
		h.wait.Wait()
		got := c.all()
		if len(got) != 8 {
			t.Fatalf("%d tries, want 7 of the first event and 1 of the second: %v", len(got), c.events())
		}
		at := time.Duration(0)
		for i, r := range got[:7] {
			if r.at != at || r.event.Event != eventStart || !bytes.Equal(r.body, got[0].body) || r.header.Get("Murmur-Delivery") != got[0].event.ID {
				t.Errorf("try %d at %v, want %v: %s", i+1, r.at, at, r.body)
			}
			checkSignature(t, r, "key", c.start.Add(at))
			if i < 6 {
				at += webhookPauses[i]
			}
		}
		if got[7].at != at || got[7].event.Event != eventLive || got[7].header.Get("Murmur-Event") != eventLive {
			t.Errorf("the second event came at %v, want %v right after the first: %s", got[7].at, at, got[7].body)
		}
		if !strings.Contains(log.String(), "webhook delivered") || strings.Contains(log.String(), "s3cret") {
			t.Errorf("the log does not tell of the delivery, or tells a secret:\n%s", log)
		}
	})
}

func checkSignature(t *testing.T, r receipt, secret string, at time.Time) {
	t.Helper()
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", stamp, r.body)
	if want := "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil)); r.header.Get("Murmur-Signature") != want {
		t.Errorf("signature %q, want %q", r.header.Get("Murmur-Signature"), want)
	}
}

// TestWebhookGivesUp: a receiver that never takes it loses the event after the last pause, and one that is gone for good
// is not asked again.
func TestWebhookGivesUp(t *testing.T) {
	hooked(t, func(int, *http.Request) (int, error) { return 500, nil }, func(t *testing.T, h *webhooks, c *receiver, log *bytes.Buffer) {
		h.tell(about("a", eventStart))
		h.wait.Wait()
		if n := len(c.all()); n != 1+len(webhookPauses) {
			t.Errorf("%d tries", n)
		}
		if !strings.Contains(log.String(), "not delivered") {
			t.Errorf("the log does not say so:\n%s", log)
		}
		if len(h.queues) != 0 || h.waiting != 0 {
			t.Errorf("left behind: %v, %d", h.queues, h.waiting)
		}
	})
	hooked(t, func(int, *http.Request) (int, error) { return 410, nil }, func(t *testing.T, h *webhooks, c *receiver, _ *bytes.Buffer) {
		h.tell(about("a", eventStart))
		h.wait.Wait()
		if n := len(c.all()); n != 1 {
			t.Errorf("%d tries at a receiver that is gone for good", n)
		}
	})
}

// TestWebhookOrder: one broadcast's trouble does not hold up another's events, nor one receiver's another's.
func TestWebhookOrder(t *testing.T) {
	hooked(t, func(_ int, r *http.Request) (int, error) {
		if r.URL.Host == "slow.example" {
			time.Sleep(5 * time.Second)
		}
		return 204, nil
	}, func(t *testing.T, h *webhooks, c *receiver, _ *bytes.Buffer) {
		for _, event := range []string{eventStart, eventLive, eventEnd} {
			h.tell(about("a", event), "http://slow.example/")
			h.tell(about("b", event))
		}
		h.wait.Wait()
		last := map[string][]string{}
		for _, r := range c.all() {
			k := r.event.Broadcast.ID + " " + r.url
			last[k] = append(last[k], r.event.Event)
			if !strings.Contains(r.url, "slow") && r.at != 0 {
				t.Errorf("%s waited for %v", k, r.at)
			}
		}
		if len(last) != 3 {
			t.Errorf("%d pairs of broadcast and receiver, want 3: %v", len(last), last)
		}
		for k, got := range last {
			if !slices.Equal(got, []string{eventStart, eventLive, eventEnd}) {
				t.Errorf("%s got %v", k, got)
			}
		}
	})
}

// TestWebhookBounds: what a dead receiver misses does not pile up.
func TestWebhookBounds(t *testing.T) {
	hooked(t, func(int, *http.Request) (int, error) { return 500, nil }, func(t *testing.T, h *webhooks, _ *receiver, log *bytes.Buffer) {
		for range 3 * maxPerHook {
			h.tell(about("a", eventStart))
		}
		synctest.Wait()
		h.mu.Lock()
		n := h.waiting
		h.mu.Unlock()
		if n != maxPerHook || !strings.Contains(log.String(), "webhook dropped") {
			t.Errorf("%d wait, want %d; log: %.300s", n, maxPerHook, log)
		}
	})
}

// TestWebhookFlush: an origin that stops delivers what it can within the time, and no longer.
func TestWebhookFlush(t *testing.T) {
	t.Run("a receiver that is back", func(t *testing.T) {
		hooked(t, func(try int, _ *http.Request) (int, error) {
			if try == 0 {
				return 500, nil
			}
			time.Sleep(300 * time.Millisecond)
			return 204, nil
		}, func(t *testing.T, h *webhooks, c *receiver, _ *bytes.Buffer) {
			h.tell(about("a", eventLive))
			h.tell(about("a", eventEnd))
			synctest.Wait()
			began := time.Now()
			h.close(webhookFlush)
			if took := time.Since(began); took != 600*time.Millisecond {
				t.Errorf("closing took %v", took)
			}
			if want := []string{"a live", "a live", "a end"}; !slices.Equal(c.events(), want) {
				t.Errorf("delivered %v, want %v", c.events(), want)
			}
			h.tell(about("a", eventRecording))
			h.wait.Wait()
			if len(c.all()) != 3 {
				t.Error("an event was sent after the close")
			}
		})
	})
	t.Run("a receiver that hangs", func(t *testing.T) {
		hooked(t, func(_ int, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}, func(t *testing.T, h *webhooks, _ *receiver, _ *bytes.Buffer) {
			h.tell(about("a", eventEnd))
			h.tell(about("b", eventEnd))
			synctest.Wait()
			began := time.Now()
			h.close(webhookFlush)
			if took := time.Since(began); took != webhookFlush {
				t.Errorf("closing took %v, want %v", took, webhookFlush)
			}
		})
	})
	t.Run("a receiver that hangs, on the whole", func(t *testing.T) {
		hooked(t, func(_ int, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}, func(t *testing.T, h *webhooks, c *receiver, _ *bytes.Buffer) {
			h.tell(about("a", eventEnd))
			time.Sleep(webhookTimeout + 500*time.Millisecond)
			synctest.Wait()
			if n := len(c.all()); n != 1 {
				t.Errorf("%d tries while the first had its %v", n, webhookTimeout)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(c.all()); n != 2 {
				t.Errorf("%d tries, want the second after the first one's timeout", n)
			}
		})
	})
}

// TestWebhookRedirect uses a real server: where it redirects to gets nothing.
func TestWebhookRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	asked := make(chan struct{}, 10)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	h := newWebhooks(webhookConfig{URLs: []string{first.URL}, Log: slog.New(slog.DiscardHandler)})
	h.tell(about("a", eventStart))
	<-asked
	h.close(webhookFlush)
}

func TestCheckWebhook(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://example.org/hook?x=1": true, "http://127.0.0.1:9/": true, "http://user:pass@example.org": true,
		"": false, "example.org": false, "ftp://example.org": false, "http://": false, "https:///x": false, "file:///etc/passwd": false,
		"http://example.org/#here": false, "http://example.org/" + strings.Repeat("x", maxWebhook): false, "http://[::1": false,
	} {
		if err := checkWebhook(text); (err == nil) != ok {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}
