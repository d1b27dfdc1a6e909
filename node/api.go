package node

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// apiRoutes are what the origin lets a program do over HTTP, beyond what every participant does.
func (o *Origin) apiRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /api/v1/broadcasts":         o.listBroadcasts,
		"POST /api/v1/broadcasts":        o.postBroadcast,
		"GET /api/v1/broadcasts/{id}":    o.showBroadcast,
		"PATCH /api/v1/broadcasts/{id}":  o.patchBroadcast,
		"DELETE /api/v1/broadcasts/{id}": o.deleteBroadcast,
	}
}

// apiRoutes are what every participant lets a program do; where nothing is kept, there are no recordings.
func (p *participant) apiRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /api/v1/openapi.json":            p.showDescription,
		"GET /api/v1/recordings":              p.listRecordings,
		"POST /api/v1/recordings":             p.postRecording,
		"GET /api/v1/recordings/{id}":         p.showRecording,
		"PATCH /api/v1/recordings/{id}":       p.patchRecording,
		"DELETE /api/v1/recordings/{id}":      p.deleteRecording,
		"POST /api/v1/recordings/{id}/verify": p.verifyRecording,
	}
}

// serveAPI registers routes. The shim asks for the token before what changes anything is reached.
func (p *participant) serveAPI(routes map[string]http.HandlerFunc) {
	for pattern, h := range routes {
		p.shim.Handle(pattern, h)
	}
}

// listBroadcasts shows the broadcasts of this run, newest first, with their stream keys to those with the token.
func (o *Origin) listBroadcasts(w http.ResponseWriter, r *http.Request) {
	secrets, ok := o.trusted(w, r)
	if !ok {
		return
	}
	list := []broadcastJSON{}
	for _, b := range slices.Backward(o.all()) {
		list = append(list, o.describe(b, r.Host, secrets))
	}
	answer(w, http.StatusOK, map[string]any{"broadcasts": list})
}

func (o *Origin) showBroadcast(w http.ResponseWriter, r *http.Request) {
	secrets, ok := o.trusted(w, r)
	if !ok {
		return
	}
	if b := o.named(w, r); b != nil {
		answer(w, http.StatusOK, o.describe(b, r.Host, secrets))
	}
}

// postBroadcast opens a broadcast that waits for its encoder.
func (o *Origin) postBroadcast(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Title   *string  `json:"title"`
		Key     *string  `json:"key"`
		Tracks  []string `json:"tracks"`
		Private bool     `json:"private"`
		Webhook *string  `json:"webhook"`
		GraceS  *float64 `json:"grace_s"`
	}
	if !readBody(w, r, &ask) {
		return
	}
	n := newcomer{grace: o.cfg.Grace, private: ask.Private}
	var err error
	if ask.Title != nil {
		n.title = *ask.Title
		err = checkTitle(n.title)
	}
	if ask.Key != nil {
		n.key = *ask.Key
		if !o.stands(n.key) { // the origin's own may be of any form
			err = errors.Join(err, checkStreamKey(n.key))
		}
	}
	if ask.Webhook != nil {
		n.webhook = *ask.Webhook
		err = errors.Join(err, checkWebhook(n.webhook))
	}
	if g := ask.GraceS; g != nil {
		if *g < 0 || *g > maxGrace.Seconds() {
			err = errors.Join(err, errors.New("a grace_s outside of 0 to 86400 seconds"))
		} else {
			n.grace = time.Duration(*g * float64(time.Second))
		}
	}
	if ask.Tracks != nil {
		further, e := checkTracks(ask.Tracks)
		n.tracks, err = further, errors.Join(err, e)
	}
	switch {
	case err != nil:
		answerError(w, http.StatusUnprocessableEntity, oneLine(err))
		return
	case o.rtmp == nil:
		answerError(w, http.StatusConflict, "this origin takes no RTMP: it has its --input, or was started with --rtmp off")
		return
	}
	b, err := o.ask(n)
	switch {
	case errors.Is(err, errKeyTaken), errors.Is(err, errTooMany):
		answerError(w, http.StatusConflict, err.Error())
	case err != nil:
		o.log.Error("opening a broadcast", "err", err)
		answerError(w, http.StatusInternalServerError, "the broadcast could not be opened: "+oneLine(err))
	default:
		w.Header().Set("Location", "/api/v1/broadcasts/"+b.id)
		answer(w, http.StatusCreated, o.describe(b, r.Host, true))
	}
}

// patchBroadcast changes the title: in the channel record, and on the pages of all who watch.
func (o *Origin) patchBroadcast(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Title *string `json:"title"`
	}
	b := o.named(w, r)
	if b == nil || !readBody(w, r, &ask) {
		return
	}
	if ask.Title == nil {
		answerError(w, http.StatusUnprocessableEntity, "there is no title in the request: nothing else can be changed")
		return
	}
	if err := checkTitle(*ask.Title); err != nil {
		answerError(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	b.retitle(*ask.Title)
	if err := o.announce(); err != nil {
		o.log.Warn("channel record not published", "err", err) // it is tried again every ten seconds
	}
	answer(w, http.StatusOK, o.describe(b, r.Host, true))
}

// deleteBroadcast ends a broadcast now, without waiting for its feed's grace. The next feed on a standing key opens a new
// one. What has ended already stays so.
func (o *Origin) deleteBroadcast(w http.ResponseWriter, r *http.Request) {
	b := o.named(w, r)
	if b == nil {
		return
	}
	if err := o.end(b); err != nil {
		answerError(w, http.StatusInternalServerError, oneLine(err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// named returns the broadcast of the path, or answers that there is none.
func (o *Origin) named(w http.ResponseWriter, r *http.Request) *broadcast {
	b := o.broadcastByID(r.PathValue("id"))
	if b == nil {
		answerError(w, http.StatusNotFound, "there is no broadcast of that id")
	}
	return b
}

// stands reports whether a stream key is a standing one.
func (o *Origin) stands(key string) bool {
	_, ok := findKey(o.keys.all(), key)
	return ok
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false) // links have an &
	out.Encode(v)
}

func answerError(w http.ResponseWriter, code int, text string) {
	answer(w, code, map[string]string{"error": text})
}

// oneLine joins what errors.Join put on lines.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
