package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"murmuration/playlist"
)

// ErrPlaylist is wrapped by what Run returns when the playlist could not be had any more.
var ErrPlaylist = errors.New("playlist cannot be had")

// Config configures a Player.
type Config struct {
	// URL of a multivariant or a media playlist. Required.
	URL string

	// Client makes the requests. Default: one of its own.
	Client *http.Client

	// HoldBack is how far behind the end of the list play begins. Default: what the playlist says.
	HoldBack time.Duration

	// Hints has the next part fetched before it is listed, by EXT-X-PRELOAD-HINT, as Safari does and hls.js does not.
	Hints bool

	// Patience is how long the playlist may fail before Run gives up. Default 10 s.
	Patience time.Duration

	// Part, where set, is called with the body of each part (or segment) fetched.
	Part func(uri string, body []byte)

	// Log takes what happens. Default: nothing.
	Log *slog.Logger
}

// Player plays one broadcast. Make one with New.
type Player struct {
	cfg   Config
	fetch fetcher

	mu        sync.Mutex
	result    Result
	head      playhead
	latencies []time.Duration
	playheads []time.Duration
}

// New returns a player that has not begun.
func New(cfg Config) *Player {
	if cfg.Client == nil {
		cfg.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Player{cfg: cfg, fetch: fetcher{cfg.Client}}
}

// Result returns what has been measured so far.
func (p *Player) Result() Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.result
	r.Stalls, r.Stalled = p.head.stalls, p.head.stalled
	r.LatencyMS, r.Playhead = Summarize(p.latencies), Summarize(p.playheads)
	return r
}

// Run plays until the broadcast ends or ctx does; both count as success.
func (p *Player) Run(ctx context.Context) error {
	began := time.Now()
	err := p.run(ctx, began)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.result.Ended {
		p.head.stall(time.Now())
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *Player) run(ctx context.Context, began time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	base, m, err := p.open(ctx)
	if err != nil {
		return err
	}
	var c cursor
	holdBack := p.cfg.HoldBack
	if holdBack <= 0 {
		if holdBack = m.PartHoldBack; holdBack <= 0 {
			holdBack = 3 * m.TargetDuration
		}
	}
	p.head.start = c.begin(m, holdBack)

	// One fetches what is listed while the other waits for the next list.
	queue := newQueue()
	fetched := make(chan error, 1)
	go func() {
		defer cancel() // without a fetcher there is nothing to reload for
		fetched <- p.fetchAll(ctx, base, queue, began)
	}()
	err = p.reloadAll(ctx, base, m, &c, queue)
	queue.close(err == nil)
	if ferr := <-fetched; ferr != nil && !errors.Is(ferr, context.Canceled) {
		return ferr
	}
	if err == nil {
		p.mu.Lock()
		p.result.Ended = true
		p.mu.Unlock()
	}
	return err
}

// open fetches the first media playlist. It returns its URL too.
func (p *Player) open(ctx context.Context) (string, *playlist.Media, error) {
	at := p.cfg.URL
	text, err := p.list(ctx, at)
	if err != nil {
		return "", nil, err
	}
	if variants, err := playlist.ParseMultivariant(text); err == nil && len(variants) > 0 {
		best := variants[0]
		for _, v := range variants[1:] {
			if v.Bandwidth > best.Bandwidth {
				best = v
			}
		}
		if at, err = resolve(at, best.URI); err != nil {
			return "", nil, err
		}
		if text, err = p.list(ctx, at); err != nil {
			return "", nil, err
		}
	}
	m, err := playlist.ParseMedia(text)
	return at, m, err
}

// list fetches a playlist, for as long as patience lasts.
func (p *Player) list(ctx context.Context, u string) ([]byte, error) {
	began := time.Now()
	for {
		text, err := p.fetch.get(ctx, u, maxPlaylist)
		if err == nil || ctx.Err() != nil {
			return text, err
		}
		if time.Since(began) > p.cfg.Patience {
			return nil, fmt.Errorf("%w: %w", ErrPlaylist, err)
		}
		p.cfg.Log.Debug("playlist", "err", err)
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reloadAll puts what is listed into the queue, reload after reload, until the list ends.
func (p *Player) reloadAll(ctx context.Context, base string, m *playlist.Media, c *cursor, q *queue) error {
	backlog := true
	for {
		items := c.take(m)
		for i := range items {
			items[i].backlog = backlog
		}
		backlog = false
		p.mu.Lock()
		p.result.Missed += c.lost
		p.mu.Unlock()
		c.lost = 0
		hint := ""
		if p.cfg.Hints {
			hint = m.Hint
		}
		q.put(items, hint)
		if m.End {
			return nil
		}
		if !m.CanBlock {
			select {
			case <-time.After(max(m.PartTarget, m.TargetDuration/4)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		u, err := url.Parse(base)
		if err != nil {
			return err
		}
		if m.CanBlock {
			msn, part := c.next(m)
			query := u.Query()
			query.Set("_HLS_msn", strconv.FormatUint(msn, 10))
			query.Set("_HLS_part", strconv.Itoa(part))
			u.RawQuery = query.Encode()
		}
		text, err := p.list(ctx, u.String())
		if err != nil {
			return err
		}
		if m, err = playlist.ParseMedia(text); err != nil {
			return err
		}
	}
}

// fetchAll fetches what is in the queue until it ends.
func (p *Player) fetchAll(ctx context.Context, base string, q *queue, began time.Time) error {
	init := ""
	hinted := map[string][]byte{} // what came by a hint and is not listed yet
	for {
		it, hint, ok := q.next(ctx)
		if !ok {
			return ctx.Err()
		}
		if hint != "" {
			u, err := resolve(base, hint)
			if err != nil {
				return err
			}
			if body, err := p.fetch.media(ctx, u, 1); err == nil {
				clear(hinted)
				hinted[hint] = body
			}
			continue
		}
		if it.discontinuity {
			p.mu.Lock()
			p.result.Discontinuities++
			p.mu.Unlock()
		}
		if it.gap {
			p.miss(it)
			continue
		}
		if it.init != init && it.init != "" {
			u, err := resolve(base, it.init)
			if err != nil {
				return err
			}
			if _, err := p.fetch.media(ctx, u, 3); err != nil {
				return err
			}
			init = it.init
		}
		body, ok := hinted[it.uri]
		if !ok {
			u, err := resolve(base, it.uri)
			if err != nil {
				return err
			}
			if body, err = p.fetch.media(ctx, u, 3); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				p.cfg.Log.Warn("part missed", "err", err)
				p.miss(it)
				continue
			}
		}
		p.arrived(it, body, began)
		if p.cfg.Part != nil {
			p.cfg.Part(it.uri, body)
		}
	}
}

func (p *Player) miss(it item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Missed++
	p.head.gap(it.length)
}

func (p *Player) arrived(it item, body []byte, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.result.Received++
	p.result.Bytes += int64(len(body))
	playing := p.head.playing
	p.head.buffer(now, it.length, it.date)
	if p.head.playing && !playing {
		p.result.StartupMS = now.Sub(began).Milliseconds()
	}
	if !it.backlog && !it.date.IsZero() {
		p.latencies = append(p.latencies, now.Sub(it.date))
	}
	if d, ok := p.head.latency(now); ok {
		p.playheads = append(p.playheads, d)
	}
}
