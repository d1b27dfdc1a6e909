package node

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"murmuration/mesh"
	"murmuration/node/archive"
)

// KeptRecording is a recording on this machine as the API shows it, and murmur recordings --json.
type KeptRecording struct {
	Broadcast string        `json:"broadcast"` // its id
	Channel   string        `json:"channel"`   // peer ID
	Title     string        `json:"title"`
	State     archive.State `json:"state"`
	Started   time.Time     `json:"started"`
	Ended     *time.Time    `json:"ended"`
	DurationS float64       `json:"duration_s"`
	Bytes     int64         `json:"bytes"` // on disk
	Media     int64         `json:"media_bytes"`
	Root      string        `json:"root"` // "" before it is finished
	Pinned    bool          `json:"pinned"`
	Own       bool          `json:"own"`     // of a channel whose key is here
	Private   bool          `json:"private"` // its media is sealed
	Missing   int           `json:"missing_chunks"`
	Tracks    []KeptTrack   `json:"tracks"`

	// Replicas is how many others have it, up to 20, as the DHT told; nil where it was not asked yet.
	Replicas *int `json:"replicas"`

	// Paths on the node's HTTP side; "" where there is nothing yet.
	Playlist string `json:"playlist"`
	Poster   string `json:"poster"`
	CAR      string `json:"car"`
	MP4      string `json:"mp4"`

	// Check is its last verification by this process.
	Check *RecordingCheck `json:"check,omitempty"`
}

// KeptTrack is a track of a recording.
type KeptTrack struct {
	Name      string  `json:"name"`
	Chunks    int     `json:"chunks"` // that are here
	Bytes     int64   `json:"bytes"`
	DurationS float64 `json:"duration_s"`
	Missing   int     `json:"missing_chunks"`
}

// DescribeRecording tells of a recording what its files tell: neither who else has it nor where it is served.
func DescribeRecording(i archive.Info) KeptRecording {
	r := KeptRecording{
		Broadcast: i.Key.Broadcast, Channel: mesh.ChannelName(i.Key.Channel), Title: i.Title, State: i.State, Started: plain(i.Started),
		DurationS: i.Duration.Seconds(), Bytes: i.Size, Media: i.Media, Pinned: i.Pinned, Own: i.Own, Private: i.KeyScheme != 0, Missing: i.Missing,
		Tracks: []KeptTrack{},
	}
	if i.Root.Defined() {
		r.Root = i.Root.String()
	}
	if !i.Ended.IsZero() {
		ended := plain(i.Ended)
		r.Ended = &ended
	}
	for _, t := range i.Tracks {
		r.Tracks = append(r.Tracks, KeptTrack{t.Name, t.Chunks, t.Bytes, t.Duration.Seconds(), t.Missing})
	}
	return r
}

// kept describes a recording with all that a running node knows of it.
func (p *participant) describeKept(i archive.Info) KeptRecording {
	r := DescribeRecording(i)
	r.Playlist = "/b/" + r.Broadcast + "/index.m3u8"
	if r.Root != "" {
		at := "/ipfs/" + r.Root
		r.Poster, r.CAR = p.library.poster(i.Root), at+"?format=car"
		if !r.Private {
			r.MP4 = at + "/recording.mp4"
		}
		if n, known := p.library.replicasOf(i.Root); known {
			r.Replicas = &n
		}
	}
	r.Check = p.library.checks.of(i.Key)
	return r
}

// keptInfos returns what is kept here, newest first.
func (p *participant) keptInfos() []archive.Info {
	if p.library == nil || p.library.store == nil {
		return nil
	}
	return p.library.store.List()
}

func (p *participant) listRecordings(w http.ResponseWriter, r *http.Request) {
	if !p.looks(w, r) {
		return
	}
	list := []KeptRecording{}
	for _, i := range p.keptInfos() {
		list = append(list, p.describeKept(i))
	}
	answer(w, http.StatusOK, map[string]any{"recordings": list})
}

func (p *participant) showRecording(w http.ResponseWriter, r *http.Request) {
	if !p.looks(w, r) {
		return
	}
	if i, ok := p.keptInfo(w, r); ok {
		answer(w, http.StatusOK, p.describeKept(i))
	}
}

// patchRecording pins a recording or lets it go again.
func (p *participant) patchRecording(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Pinned *bool `json:"pinned"`
	}
	i, ok := p.keptInfo(w, r)
	if !ok || !readBody(w, r, &ask) {
		return
	}
	if ask.Pinned == nil {
		answerError(w, http.StatusUnprocessableEntity, "there is no pinned in the request: nothing else can be changed")
		return
	}
	if err := p.library.store.Pin(i.Key, *ask.Pinned); err != nil {
		p.failed(w, "pinning a recording", err)
		return
	}
	i.Pinned = *ask.Pinned
	p.log.Info("recording pinned or let go", "recording", i.Key, "pinned", i.Pinned)
	p.shim.Changed()
	answer(w, http.StatusOK, p.describeKept(i))
}

// deleteRecording deletes a recording for good: a seed does not fetch it again, and its organiser's origin lists it no
// longer.
func (p *participant) deleteRecording(w http.ResponseWriter, r *http.Request) {
	i, ok := p.keptInfo(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	force, err := truth(query.Get("force"))
	listed, err2 := truth(query.Get("listed"))
	switch {
	case err != nil || err2 != nil:
		answerError(w, http.StatusUnprocessableEntity, "force and listed are true or false")
		return
	case i.State == archive.Live:
		answerError(w, http.StatusConflict, "its broadcast is not over, or its recording is just being finished: end that first")
		return
	case i.Pinned && !force:
		answerError(w, http.StatusConflict, "it is pinned: unpin it first, or ask with ?force=true")
		return
	}
	if err := p.library.deleted.remove(p.library.store, i.Key, listed); err != nil {
		p.failed(w, "deleting a recording", err)
		return
	}
	p.library.checks.forget(i.Key)
	p.takeDown(i.Key)
	p.log.Info("recording deleted", "recording", i.Key, "reason", "by request", "listed", listed)
	p.cfg.Tell(fmt.Sprintf("deleted   recording %q (%s)", i.Title, i.Key.Broadcast))
	if p.removed != nil {
		p.removed(i, listed)
	}
	p.shim.Changed()
	w.WriteHeader(http.StatusNoContent)
}

// truth reads a flag of a query.
func truth(s string) (bool, error) {
	switch s {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// verifyRecording has a recording checked in the background; what comes of it is in the recording's check.
func (p *participant) verifyRecording(w http.ResponseWriter, r *http.Request) {
	i, ok := p.keptInfo(w, r)
	if !ok {
		return
	}
	if i.State == archive.Live {
		answerError(w, http.StatusConflict, "its broadcast is not over: what is being written is not verified")
		return
	}
	rec, ok := p.library.store.Lookup(i.Key)
	if !ok {
		answerError(w, http.StatusNotFound, noSuchRecording)
		return
	}
	_, err := p.library.checks.begin(rec, func(report archive.Report, err error) {
		switch {
		case err != nil:
			p.log.Warn("a recording could not be verified", "recording", i.Key, "err", err)
		case !report.OK():
			p.log.Error("a recording is damaged", "recording", i.Key, "damaged", len(report.Damaged), "unsigned", len(report.Unsigned), "view", report.View)
		}
		p.shim.Changed()
	})
	switch {
	case errors.Is(err, errChecking):
		answerError(w, http.StatusConflict, err.Error())
	case err != nil:
		p.failed(w, "verifying a recording", err)
	default:
		answer(w, http.StatusAccepted, p.describeKept(rec.Info()))
	}
}

const noSuchRecording = "there is no recording of that id here"

// keptInfo returns the recording of the path, by its broadcast's id or its root, or answers that there is none.
func (p *participant) keptInfo(w http.ResponseWriter, r *http.Request) (archive.Info, bool) {
	name := r.PathValue("id")
	list := slices.DeleteFunc(p.keptInfos(), func(i archive.Info) bool {
		return i.Key.Broadcast != name && (!i.Root.Defined() || i.Root.String() != name)
	})
	switch len(list) {
	case 0:
		answerError(w, http.StatusNotFound, noSuchRecording)
	case 1:
		return list[0], true
	default: // of several channels: ids are made without asking each other
		answerError(w, http.StatusConflict, fmt.Sprintf("%d recordings have that id: name it by its root", len(list)))
	}
	return archive.Info{}, false
}

// failed answers that something went wrong here.
func (p *participant) failed(w http.ResponseWriter, what string, err error) {
	p.log.Error(what, "err", err)
	answerError(w, http.StatusInternalServerError, what+": "+oneLine(err))
}

// looks is trusted for what shows the same to all.
func (p *participant) looks(w http.ResponseWriter, r *http.Request) bool {
	_, ok := p.trusted(w, r)
	return ok
}

// trusted reports whether who only looks has shown the token, which is not asked of them. A wrong one is refused rather
// than passed over.
func (p *participant) trusted(w http.ResponseWriter, r *http.Request) (secrets, ok bool) {
	token := r.Header.Get("X-Murmur-Token")
	if scheme, t, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(t)
	}
	if token == "" {
		return false, true
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(p.Token())) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		answerError(w, http.StatusUnauthorized, "the token is wrong; without one, this shows all that is no secret")
		return false, false
	}
	return true, true
}
