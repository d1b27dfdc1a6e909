package player

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Bounds of what is fetched, in bytes.
const (
	maxPlaylist = 4 << 20
	maxMedia    = 64 << 20
)

// Errors of fetching.
var (
	// ErrStatus marks an answer other than 200.
	ErrStatus = errors.New("unexpected HTTP status")
	// ErrMedia marks media that is not made of whole MP4 boxes.
	ErrMedia = errors.New("media is not whole")
)

// fetcher fetches from one server.
type fetcher struct {
	client *http.Client
}

// get fetches a URL once.
func (f *fetcher) get(ctx context.Context, u string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		// Read on a little, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
		return nil, fmt.Errorf("%s: %w: %s", u, ErrStatus, res.Status)
	}
	var b []byte
	if n := res.ContentLength; n >= 0 && n <= limit {
		b = make([]byte, n)
		_, err = io.ReadFull(res.Body, b)
	} else {
		b, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", u, limit)
	}
	return b, nil
}

// retry fetches a URL, and again a few times where that fails.
func (f *fetcher) retry(ctx context.Context, u string, limit int64, times int) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := f.get(ctx, u, limit)
		if err == nil || try >= times || ctx.Err() != nil {
			return b, err
		}
		select {
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// media fetches media and checks that it is made of whole boxes.
func (f *fetcher) media(ctx context.Context, u string, times int) ([]byte, error) {
	b, err := f.retry(ctx, u, maxMedia, times)
	if err != nil {
		return nil, err
	}
	for rest := b; len(rest) > 0; {
		if len(rest) < 8 {
			return nil, fmt.Errorf("%s: %w", u, ErrMedia)
		}
		n := uint64(binary.BigEndian.Uint32(rest))
		if n < 8 || n > uint64(len(rest)) {
			return nil, fmt.Errorf("%s: %w", u, ErrMedia)
		}
		rest = rest[n:]
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("%s: %w", u, ErrMedia)
	}
	return b, nil
}

// resolve returns the URL that ref means in the document at base.
func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	r, err := url.Parse(ref)
	if err != nil {
		return "", err
	}
	return b.ResolveReference(r).String(), nil
}
