package node

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"murmuration/mesh"
)

const (
	maxTitle = 256 // bytes of UTF-8; the channel record takes no more
	maxGrace = 24 * time.Hour
)

// States of a broadcast, as the API tells them.
const (
	stateWaiting = "waiting" // no chunk yet
	stateLive    = "live"
	stateEnded   = "ended"
)

// Events that webhooks are told of.
const (
	eventStart     = "start"     // opened, by a program or by its first publish
	eventLive      = "live"      // its first chunk is out
	eventEnd       = "end"       // over
	eventRecording = "recording" // its recording is whole and has its root
)

// broadcastJSON is a broadcast as the API and the webhooks show it.
type broadcastJSON struct {
	ID       string      `json:"id"`
	Title    string      `json:"title"`
	State    string      `json:"state"`
	Feed     bool        `json:"feed"` // an encoder is connected
	Created  time.Time   `json:"created"`
	Started  *time.Time  `json:"started"` // when its feed first came
	Ended    *time.Time  `json:"ended"`
	Tracks   []trackJSON `json:"tracks"`
	Private  bool        `json:"private"`
	Standing bool        `json:"standing"` // its stream key outlives it
	GraceS   float64     `json:"grace_s"`
	Link     string      `json:"link"`
	Page     string      `json:"page"`
	Playlist string      `json:"playlist"`

	RTMP    string `json:"rtmp,omitempty"`    // server, without the key
	Key     string `json:"key,omitempty"`     // only to those with the token
	Webhook string `json:"webhook,omitempty"` // likewise
}

// trackJSON is a track of a broadcast. Codecs are empty before its first chunk.
type trackJSON struct {
	Name   string `json:"name"`
	Codecs string `json:"codecs"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Feed   bool   `json:"feed"`          // its encoder is connected
	Key    string `json:"key,omitempty"` // what that encoder gives as the stream key; only to those with the token
}

// recordingJSON is a finished recording.
type recordingJSON struct {
	Root      string  `json:"root"` // CID of the UnixFS directory
	SizeBytes int64   `json:"size_bytes"`
	DurationS float64 `json:"duration_s"`
}

// describe tells how a broadcast stands; host is the name by which the asker reached this machine, and secrets are for
// those with the token only.
func (o *Origin) describe(b *broadcast, host string, secrets bool) broadcastJSON {
	b.mu.Lock()
	j := broadcastJSON{
		ID: b.id, Title: b.title, State: stateWaiting, Feed: b.fed, Created: plain(b.created), Tracks: []trackJSON{},
		Private: b.secret != nil, Standing: b.standing, GraceS: b.grace.Seconds(),
	}
	if b.onAir {
		j.State = stateLive
	}
	j.Tracks = b.trackList(secrets)
	if !b.started.IsZero() {
		at := plain(b.started)
		j.Started = &at
	}
	if !b.ended.IsZero() {
		at := plain(b.ended)
		j.Ended, j.State = &at, stateEnded
	}
	if secrets {
		j.Key, j.Webhook = b.streamKey, b.webhook
	}
	b.mu.Unlock()
	o.place(&j)
	if secrets {
		o.withKey(&j, b)
	}
	if j.State != stateEnded {
		j.RTMP = o.rtmpServer(host)
	}
	return j
}

// place fills in where a broadcast is found.
func (o *Origin) place(j *broadcastJSON) {
	link := o.shareLink()
	link.Broadcast = j.ID
	j.Link, j.Page = link.String(), o.PageURL()
	j.Playlist = j.Page + "b/" + j.ID + "/index.m3u8"
}

func plain(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// rtmpServer returns what the encoder is given as its server. Where the origin listens on all addresses, it is the one
// by which the asker reached this machine.
func (o *Origin) rtmpServer(host string) string {
	if o.rtmp == nil {
		return ""
	}
	addr := o.rtmp.Addr().String()
	h, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(h); err == nil && ip != nil && ip.IsUnspecified() {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host == "" {
			host = "127.0.0.1"
		}
		addr = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	return "rtmp://" + addr + "/live"
}

// notify tells the webhooks of something that happened to a broadcast.
func (o *Origin) notify(event string, b *broadcast) {
	o.hook.tell(webhookEvent{Event: event, Broadcast: o.describe(b, "", false)}, b.webhook)
}

// recordingInfo is a finished recording as the archive tells of it.
type recordingInfo struct {
	Broadcast string // its id
	Title     string
	Started   time.Time
	Ended     time.Time
	Tracks    []mesh.TrackInfo
	Root      string // CID of the UnixFS directory
	Size      int64  // bytes
	Duration  time.Duration
}

// recordingReady tells the webhooks that a recording is whole, also that of a broadcast of an earlier run.
func (o *Origin) recordingReady(info recordingInfo) {
	e := webhookEvent{
		Event:     eventRecording,
		Recording: &recordingJSON{Root: info.Root, SizeBytes: info.Size, DurationS: info.Duration.Seconds()},
	}
	own := ""
	if b := o.broadcastByID(info.Broadcast); b != nil {
		e.Broadcast, own = o.describe(b, "", false), b.webhook
	} else {
		started, ended := plain(info.Started), plain(info.Ended)
		e.Broadcast = broadcastJSON{
			ID: info.Broadcast, Title: info.Title, State: stateEnded, Created: started, Started: &started, Ended: &ended,
			Tracks: []trackJSON{},
		}
		for _, t := range info.Tracks {
			e.Broadcast.Tracks = append(e.Broadcast.Tracks, trackJSON{Name: t.Name, Codecs: t.Codecs, Width: t.Width, Height: t.Height})
		}
		o.place(&e.Broadcast)
	}
	o.hook.tell(e, own)
}

// checkTitle holds a title to what the channel record takes: it ends up on pages and in terminals.
func checkTitle(s string) error {
	if s == "" || len(s) > maxTitle {
		return fmt.Errorf("a title of %d bytes; 1 to %d are possible", len(s), maxTitle)
	}
	if !utf8.ValidString(s) {
		return errors.New("a title that is not UTF-8")
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return errors.New("a title with a control character")
		}
	}
	return nil
}
