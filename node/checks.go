package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"murmuration/node/archive"
)

// errChecking says that another recording is being verified.
var errChecking = errors.New("another recording is being verified: one at a time")

// checks are the verifications of recordings that programs ask for: one at a time, in the background, since a long
// recording takes minutes. The last result of each is kept while the process runs.
type checks struct {
	mu     sync.Mutex
	work   sync.WaitGroup
	stop   context.CancelFunc // of the running one
	closed bool
	now    archive.Key // of the running one
	last   map[archive.Key]*RecordingCheck
}

// States of a check.
const (
	checkRunning = "running"
	checkDone    = "done"
	checkFailed  = "failed"
)

// RecordingCheck is the verification of a recording as the API tells of it.
type RecordingCheck struct {
	State      string     `json:"state"`
	Started    time.Time  `json:"started"`
	Finished   *time.Time `json:"finished"`
	DoneBytes  int64      `json:"done_bytes"`
	TotalBytes int64      `json:"total_bytes"`
	Error      string     `json:"error,omitempty"` // why it failed

	// What it found, once it is done.
	OK       *bool  `json:"ok,omitempty"`
	Blocks   int    `json:"blocks"`
	Damaged  int    `json:"damaged_blocks"`
	Unsigned int    `json:"unsigned_chunks"`
	Lost     int64  `json:"lost_bytes"`
	View     string `json:"view,omitempty"` // what is wrong with the view
}

// begin verifies a recording in the background; it reports whether it was not already under way.
func (c *checks) begin(rec *archive.Recording, over func(archive.Report, error)) (fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false, archive.ErrClosed
	case c.stop != nil && c.now == rec.Key():
		return false, nil
	case c.stop != nil:
		return false, errChecking
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop, c.now = cancel, rec.Key()
	j := &RecordingCheck{State: checkRunning, Started: plain(time.Now()), TotalBytes: rec.Info().Size}
	if c.last == nil {
		c.last = map[archive.Key]*RecordingCheck{}
	}
	c.last[c.now] = j
	c.work.Go(func() {
		defer cancel()
		report, err := rec.Verify(ctx, func(done, total int64) {
			c.mu.Lock()
			j.DoneBytes, j.TotalBytes = done, total
			c.mu.Unlock()
		})
		c.mu.Lock()
		c.stop = nil
		j.end(report, err, time.Now())
		c.mu.Unlock()
		over(report, err)
	})
	return true, nil
}

func (j *RecordingCheck) end(r archive.Report, err error, now time.Time) {
	now = plain(now)
	j.Finished = &now
	if err != nil {
		j.State, j.Error = checkFailed, oneLine(err)
		return
	}
	ok := r.OK()
	j.State, j.OK, j.DoneBytes = checkDone, &ok, j.TotalBytes
	j.Blocks, j.Damaged, j.Unsigned, j.Lost = r.Blocks, len(r.Damaged), len(r.Unsigned), r.Lost
	if r.View != nil {
		j.View = oneLine(r.View)
	}
}

// of returns the running or last verification of a recording; nil where there was none.
func (c *checks) of(k archive.Key) *RecordingCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.last[k]
	if j == nil {
		return nil
	}
	now := *j
	return &now
}

// forget lets go of the result of a recording that is deleted, and stops its verification.
func (c *checks) forget(k archive.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil && c.now == k {
		c.stop()
	}
	delete(c.last, k)
}

// close stops what runs and waits for it.
func (c *checks) close() {
	c.mu.Lock()
	c.closed = true
	if c.stop != nil {
		c.stop()
	}
	c.mu.Unlock()
	c.work.Wait()
}
