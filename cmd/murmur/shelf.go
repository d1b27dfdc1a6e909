package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"murmuration/node"
	"murmuration/node/archive"
)

// lookWait is how long a running process is given to tell of its recordings before the files are read.
const lookWait = 3 * time.Second

// shelf is where recordings are listed and changed: a folder that this process has open, or the API of the process that
// has.
type shelf interface {
	list(context.Context) ([]node.KeptRecording, error)
	pin(context.Context, node.KeptRecording, bool) error
	remove(ctx context.Context, r node.KeptRecording, force, listed bool) error
	// take keeps the recording that a CAR holds, with progress in bytes of it.
	take(ctx context.Context, car io.Reader, pin bool, progress func(done int64)) (node.KeptRecording, error)
	close() error
}

// folder returns the folder of the recordings.
func (c recordingsCmd) folder() (string, error) {
	if c.Recordings != "" {
		return c.Recordings, nil
	}
	return node.DefaultRecordings(c.Dir)
}

// open opens the store, to look only or to change it.
func (c recordingsCmd) open(e *env, change bool) (*archive.Store, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, err
	}
	return archive.Open(archive.Config{Dir: dir, ReadOnly: !change, Log: e.log})
}

// look returns what the recordings are listed from: the process that has them open, since it knows who else has them,
// else their files.
func (c recordingsCmd) look(e *env) (shelf, bool, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, false, err
	}
	if keeper, err := node.FindKeeper(dir); err == nil {
		s := apiShelf{keeperAPI(keeper, dir)}
		ctx, cancel := context.WithTimeout(e.ctx, lookWait)
		_, err := s.list(ctx)
		cancel()
		if err == nil {
			return s, true, nil
		}
		e.log.Info("the files are read: the process that wrote running.json does not answer", "err", err)
	}
	s, err := c.open(e, false)
	return fileShelf{s, dir}, false, err
}

// change returns what changes the recordings: their files, else the process that has them open.
func (c recordingsCmd) change(e *env) (shelf, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, err
	}
	s, err := c.open(e, true)
	if !errors.Is(err, archive.ErrLocked) {
		return fileShelf{s, dir}, err
	}
	keeper, found := node.FindKeeper(dir)
	if found == nil {
		s := apiShelf{keeperAPI(keeper, dir)}
		ctx, cancel := context.WithTimeout(e.ctx, lookWait)
		defer cancel()
		if _, found = s.list(ctx); found == nil {
			e.log.Info("the process that has the recordings open does it", "role", keeper.Role, "at", keeper.API)
			return s, nil
		}
		e.log.Info("no answer", "at", keeper.API, "err", found)
	}
	return nil, fmt.Errorf("%w; it takes no requests: try again when it has ended", err)
}

func keeperAPI(r node.Running, dir string) *nodeAPI {
	file := func() (node.Running, error) { return node.FindKeeper(dir) }
	return &nodeAPI{who: r.Role, base: r.API, token: r.Token, found: true, file: file}
}

// fileShelf is a folder of recordings.
type fileShelf struct {
	store *archive.Store
	dir   string
}

func (f fileShelf) list(context.Context) ([]node.KeptRecording, error) {
	var list []node.KeptRecording
	for _, i := range f.store.List() {
		list = append(list, node.DescribeRecording(i))
	}
	return list, nil
}

// recording returns the recording itself.
func (f fileShelf) recording(r node.KeptRecording) (*archive.Recording, error) {
	for _, i := range f.store.List() {
		if d := node.DescribeRecording(i); d.Channel == r.Channel && d.Broadcast == r.Broadcast {
			if rec, ok := f.store.Lookup(i.Key); ok {
				return rec, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s", archive.ErrNotFound, r.Broadcast)
}

func (f fileShelf) pin(_ context.Context, r node.KeptRecording, pinned bool) error {
	rec, err := f.recording(r)
	if err != nil {
		return err
	}
	return f.store.Pin(rec.Key(), pinned)
}

func (f fileShelf) remove(_ context.Context, r node.KeptRecording, force, listed bool) error {
	rec, err := f.recording(r)
	if err != nil {
		return err
	}
	if rec.Info().Pinned && !force {
		return fmt.Errorf("%s is pinned: murmur recordings unpin it first, or --force", r.Broadcast)
	}
	return node.DeleteRecording(f.store, f.dir, rec.Key(), listed)
}

func (f fileShelf) take(ctx context.Context, car io.Reader, pin bool, progress func(done int64)) (node.KeptRecording, error) {
	info, err := f.store.ImportCAR(ctx, car, progress)
	if err == nil && pin {
		info.Pinned = true
		err = f.store.Pin(info.Key, true)
	}
	return node.DescribeRecording(info), err
}

func (f fileShelf) close() error { return f.store.Close() }

// apiShelf is a running process that has the recordings open.
type apiShelf struct{ api *nodeAPI }

func (a apiShelf) list(ctx context.Context) ([]node.KeptRecording, error) {
	var answer struct{ Recordings []node.KeptRecording }
	_, err := a.api.call(ctx, http.MethodGet, "recordings", nil, &answer)
	return answer.Recordings, err
}

// path names a recording to the API. Two channels may have used the same id: the root tells them apart.
func (a apiShelf) path(r node.KeptRecording) string {
	if r.Root != "" {
		return "recordings/" + url.PathEscape(r.Root)
	}
	return "recordings/" + url.PathEscape(r.Broadcast)
}

func (a apiShelf) pin(ctx context.Context, r node.KeptRecording, pinned bool) error {
	_, err := a.api.call(ctx, http.MethodPatch, a.path(r), map[string]bool{"pinned": pinned}, nil)
	return a.name(r, err)
}

func (a apiShelf) remove(ctx context.Context, r node.KeptRecording, force, listed bool) error {
	if r.Pinned && !force {
		return fmt.Errorf("%s is pinned: murmur recordings unpin it first, or --force", r.Broadcast)
	}
	_, err := a.api.call(ctx, http.MethodDelete, fmt.Sprintf("%s?force=%t&listed=%t", a.path(r), force, listed), nil, nil)
	return a.name(r, err)
}

// verify has the process check a recording, and waits for what it finds.
func (a apiShelf) verify(ctx context.Context, r node.KeptRecording, progress func(done, total int64)) (node.KeptRecording, error) {
	var now node.KeptRecording
	if _, err := a.api.call(ctx, http.MethodPost, a.path(r)+"/verify", nil, &now); err != nil {
		return now, a.name(r, err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-tick.C:
		}
		now = node.KeptRecording{}
		if _, err := a.api.call(ctx, http.MethodGet, a.path(r), nil, &now); err != nil {
			return now, a.name(r, err)
		}
		switch {
		case now.Check == nil:
			return now, fmt.Errorf("%s: the %s was started anew meanwhile", r.Broadcast, a.api.who)
		case now.Check.State == "running":
			progress(now.Check.DoneBytes, now.Check.TotalBytes)
		default:
			return now, nil
		}
	}
}

func (a apiShelf) take(ctx context.Context, car io.Reader, pin bool, progress func(done int64)) (node.KeptRecording, error) {
	var r node.KeptRecording
	err := a.api.upload(ctx, fmt.Sprintf("recordings?pin=%t", pin), "application/vnd.ipld.car", &told{r: car, tell: progress}, &r)
	if wrong, ok := errors.AsType[usageError](err); ok { // what is wrong is the file
		err = fmt.Errorf("%w: %w", node.ErrStore, wrong.error)
	}
	return r, err
}

// told tells how far a reader is.
type told struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (t *told) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.n += int64(n)
	t.tell(t.n)
	return n, err
}

func (a apiShelf) name(r node.KeptRecording, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", r.Broadcast, err)
	}
	return err
}

func (a apiShelf) close() error { return nil }

// find returns the recording of a list that a name means: an id, its beginning, a root, or CHANNEL/ID.
func find(list []node.KeptRecording, name string) (node.KeptRecording, error) {
	var found []node.KeptRecording
	for _, r := range list {
		if r.Root == name && name != "" || r.Channel+"/"+r.Broadcast == name {
			return r, nil
		}
	}
	for _, r := range list {
		if r.Broadcast == name {
			found = append(found, r)
		}
	}
	if len(found) > 1 {
		return node.KeptRecording{}, usageError{fmt.Errorf("%s is of %d channels: give the root or CHANNEL/ID", name, len(found))}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	for _, r := range list {
		if len(name) >= 4 && strings.HasPrefix(r.Broadcast, name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return node.KeptRecording{}, fmt.Errorf("%w: %s (murmur recordings ls lists them)", archive.ErrNotFound, name)
	case 1:
		return found[0], nil
	}
	return node.KeptRecording{}, usageError{fmt.Errorf("%s is the beginning of %d recordings: give more of it", name, len(found))}
}
