package shim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// Status is the node's state, as /api/v1/status and /api/v1/events tell it. All times are UTC.
type Status struct {
	Version    string            `json:"version"`
	Role       string            `json:"role"` // origin, viewer, seed or demo
	PeerID     string            `json:"peer_id"`
	UptimeS    float64           `json:"uptime_s"`
	Now        time.Time         `json:"now"`
	Channel    string            `json:"channel"`
	Title      string            `json:"title"`
	Link       string            `json:"link"`
	Broadcasts []BroadcastStatus `json:"broadcasts"`
	Peers      []PeerStatus      `json:"peers"`
	Traffic    TrafficStatus     `json:"traffic"`
	Recordings []RecordingStatus `json:"recordings"` // of the channel, newest first; filled in by the node
	Store      StoreStatus       `json:"store"`      // filled in by the node
}

// RecordingStatus is one recording in a Status: of this node, or one of the channel that can be fetched.
type RecordingStatus struct {
	Broadcast string    `json:"broadcast"` // its id
	Title     string    `json:"title"`
	Started   time.Time `json:"started"`
	DurationS float64   `json:"duration_s"`
	Bytes     int64     `json:"bytes"`
	Root      string    `json:"root"`  // CID of the finished recording, "" before
	State     string    `json:"state"` // the archive's word: live, partial or finished
	Pinned    bool      `json:"pinned"`
	Missing   int       `json:"missing"`  // chunks known to be missing here
	Full      bool      `json:"full"`     // what comes is not kept: the disk is full
	Replicas  int       `json:"replicas"` // others known to hold it
	URL       string    `json:"url"`      // path of the playlist: /b/ID/index.m3u8 or /ipfs/ROOT/index.m3u8
	Private   bool      `json:"private"`
	Locked    string    `json:"locked"` // why it cannot be shown here; "" where it can
	Poster    string    `json:"poster"` // path of a picture, "" where there is none
}

// StoreStatus sums up what is kept on disk. All zero: nothing is.
type StoreStatus struct {
	Bytes      int64 `json:"bytes"`
	QuotaBytes int64 `json:"quota_bytes"` // 0: no limit
	FreeBytes  int64 `json:"free_bytes"`  // of the file system
	Recordings int   `json:"recordings"`
}

// BroadcastStatus is one broadcast in a Status.
type BroadcastStatus struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	State    string        `json:"state"` // StateLive, StateWaiting or StateEnded
	Started  time.Time     `json:"started"`
	Playlist string        `json:"playlist"` // path of the multivariant playlist
	Tracks   []TrackStatus `json:"tracks"`
	Private  bool          `json:"private"`
	Locked   string        `json:"locked"` // why it cannot be shown here; "" where it can
}

// TrackStatus is one track in a Status.
type TrackStatus struct {
	Name           string       `json:"name"`
	Codecs         string       `json:"codecs"`
	Playlist       string       `json:"playlist"` // path of the media playlist
	PartTargetMS   float64      `json:"part_target_ms"`
	Epoch          uint64       `json:"epoch"`
	NewestSeq      uint64       `json:"newest_seq"`
	NewestCaptured time.Time    `json:"newest_captured"`
	DelayMS        DelayStatus  `json:"delay_ms"` // from capture to here
	Chunks         ChunksStatus `json:"chunks"`

	// Stripes tell where each of the track's trees comes from and leads to; filled in by the node.
	Stripes []StripeStatus `json:"stripes"`
}

// StripeStatus is a node's place in the tree of one stripe.
type StripeStatus struct {
	Parent   string  `json:"parent"`   // peer ID, "" where there is none: at the origin, or just now
	AgeMS    float64 `json:"age_ms"`   // of chunks when the stripe brings them
	Children int     `json:"children"` // neighbours that this node pushes it to
}

// DelayStatus sums up delays, in milliseconds.
type DelayStatus struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

// ChunksStatus counts chunks.
type ChunksStatus struct {
	Received   uint64 `json:"received"`
	Published  uint64 `json:"published"`
	Relayed    uint64 `json:"relayed"`
	Missed     uint64 `json:"missed"`
	Fetched    uint64 `json:"fetched"`
	Duplicates uint64 `json:"duplicates"`
	Rejected   uint64 `json:"rejected"`
}

// PeerStatus is one neighbour in a Status.
type PeerStatus struct {
	ID            string  `json:"id"`
	Addr          string  `json:"addr"`
	Direction     string  `json:"direction"` // in or out
	RTTMS         float64 `json:"rtt_ms"`
	Mesh          bool    `json:"mesh"`
	Agent         string  `json:"agent"`
	ReceivedBytes uint64  `json:"received_bytes"`
	SentBytes     uint64  `json:"sent_bytes"`
}

// TrafficStatus sums up what came and went, in bytes and bits per second.
type TrafficStatus struct {
	ReceivedBytes uint64  `json:"received_bytes"`
	SentBytes     uint64  `json:"sent_bytes"`
	ReceivedBPS   float64 `json:"received_bps"`
	SentBPS       float64 `json:"sent_bps"`
}

// Status returns what the shim itself knows of its broadcasts. A node starts from it and adds what it knows.
func (s *Server) Status() Status {
	s.mu.Lock()
	open := append([]*Broadcast(nil), s.broadcasts...)
	s.mu.Unlock()
	now := time.Now()
	status := Status{UptimeS: now.Sub(s.started).Seconds(), Now: now}
	for _, b := range open {
		if b.demand {
			continue
		}
		status.Broadcasts = append(status.Broadcasts, b.status())
	}
	return status
}

func (b *Broadcast) status() BroadcastStatus {
	path := "/b/" + b.info.ID + "/"
	bs := BroadcastStatus{
		ID: b.info.ID, Title: b.info.Title, State: b.State(), Started: b.info.Started, Playlist: path + "index.m3u8",
	}
	bs.Private, bs.Locked = b.Private()
	for _, t := range b.all() {
		ts := t.status()
		ts.Playlist = path + ts.Name + "/" + t.listName()
		bs.Tracks = append(bs.Tracks, ts)
	}
	return bs
}

func (t *track) status() TrackStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	ts := TrackStatus{Name: t.info.Name, Codecs: t.media.Codecs}
	if t.newest == "" {
		ts.Codecs = t.info.Codecs
	}
	if t.list == nil {
		return ts
	}
	ts.PartTargetMS = float64(t.list.Config().PartTarget) / float64(time.Millisecond)
	if newest, ok := t.list.Newest(); ok {
		ts.Epoch, ts.NewestSeq, ts.NewestCaptured = newest.Epoch, newest.Seq, newest.Captured
	}
	stats := t.list.Stats()
	ts.Chunks = ChunksStatus{Received: stats.Listed + stats.Late, Missed: stats.Gaps + stats.Skipped, Duplicates: stats.Duplicates}
	return ts
}

// normal fills in what JSON wants: lists that are lists when empty, times in UTC with milliseconds.
func (st Status) normal() Status {
	if st.Now.IsZero() {
		st.Now = time.Now()
	}
	st.Now = st.Now.UTC().Truncate(time.Millisecond)
	st.Peers = append([]PeerStatus{}, st.Peers...)
	st.Broadcasts = append([]BroadcastStatus{}, st.Broadcasts...)
	for i := range st.Broadcasts {
		b := &st.Broadcasts[i]
		b.Started = b.Started.UTC().Truncate(time.Millisecond)
		b.Tracks = append([]TrackStatus{}, b.Tracks...)
		for j := range b.Tracks {
			b.Tracks[j].Stripes = append([]StripeStatus{}, b.Tracks[j].Stripes...)
			b.Tracks[j].NewestCaptured = b.Tracks[j].NewestCaptured.UTC().Truncate(time.Millisecond)
		}
	}
	st.Recordings = append([]RecordingStatus{}, st.Recordings...)
	for i := range st.Recordings {
		st.Recordings[i].Started = st.Recordings[i].Started.UTC().Truncate(time.Millisecond)
	}
	return st
}

// statusAge is how old a status may be that is told again: many clients share one look at the node.
const statusAge = 200 * time.Millisecond

type statusCache struct {
	text  []byte
	at    time.Time
	stale bool
}

// statusText returns the status as JSON on one line.
func (s *Server) statusText() ([]byte, error) {
	s.mu.Lock()
	if c := s.status; c.text != nil && !c.stale && time.Since(c.at) < statusAge {
		s.mu.Unlock()
		return c.text, nil
	}
	s.status.stale = false // a change from here on makes it stale again
	s.mu.Unlock()

	get := s.cfg.Status
	if get == nil {
		get = s.Status
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(get().normal()); err != nil {
		return nil, err
	}
	text := bytes.TrimRight(b.Bytes(), "\n")
	s.mu.Lock()
	s.status.text, s.status.at = text, time.Now()
	s.mu.Unlock()
	return text, nil
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	text, err := s.statusText()
	if err != nil {
		s.log.Error("status", "err", err)
		http.Error(w, "The status could not be told.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text[:len(text):len(text)], '\n'))
}
