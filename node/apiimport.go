package node

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"murmuration/node/archive"
)

const (
	// carType is the Content-Type of a CAR.
	carType = "application/vnd.ipld.car"
	// importStall is how long an import may bring nothing.
	importStall = time.Minute
	// importCheck is how long what came may be checked after the last byte, before the answer.
	importCheck = 10 * time.Minute
)

// postRecording takes in the recording that the request's body holds as a CAR, as it comes: one at a time, no more bytes
// than there is room for, and nothing shows before all of it is checked.
func (p *participant) postRecording(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != carType {
		w.Header().Set("Accept", carType)
		answerError(w, http.StatusUnsupportedMediaType, "a recording comes as a CAR, of Content-Type "+carType)
		return
	}
	pin, err := truth(r.URL.Query().Get("pin"))
	if err != nil {
		answerError(w, http.StatusUnprocessableEntity, "pin is true or false")
		return
	}
	l := p.library
	if l.store == nil {
		answerError(w, http.StatusConflict, "this node keeps no recordings")
		return
	}
	if !l.importing.TryLock() {
		answerError(w, http.StatusConflict, "another recording is being imported: one at a time")
		return
	}
	defer l.importing.Unlock()
	room := max(l.quota()-l.store.Usage().Bytes, 0)
	full := fmt.Sprintf("there is no room for it: %d bytes are left for recordings", room)
	if r.ContentLength > room {
		answerError(w, http.StatusInsufficientStorage, full)
		return
	}
	patience := http.NewResponseController(w) // not every ResponseWriter has deadlines: those of tests do not
	_ = patience.SetWriteDeadline(time.Time{})
	var told time.Time
	i, err := l.store.ImportCAR(r.Context(), http.MaxBytesReader(w, r.Body, room), func(int64) {
		if now := time.Now(); now.Sub(told) > time.Second {
			told = now
			_ = patience.SetReadDeadline(now.Add(importStall))
		}
	})
	_ = patience.SetWriteDeadline(time.Now().Add(importCheck))
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return // nobody waits for an answer
	case tooLong, errors.Is(err, archive.ErrFull):
		answerError(w, http.StatusInsufficientStorage, full)
		return
	case errors.Is(err, archive.ErrHostile):
		answerError(w, http.StatusUnprocessableEntity, oneLine(err))
		return
	case err != nil:
		p.failed(w, "importing a recording", err)
		return
	}
	if pin {
		if err := l.store.Pin(i.Key, true); err != nil {
			p.failed(w, "pinning the imported recording", err)
			return
		}
		i.Pinned = true
	}
	p.log.Info("recording imported", "recording", i.Key, "root", i.Root, "bytes", i.Size)
	p.cfg.Tell(fmt.Sprintf("imported  recording %q (%s)  /ipfs/%s", i.Title, i.Key.Broadcast, i.Root))
	l.exchange.Announce()
	p.shim.Changed()
	w.Header().Set("Location", "/api/v1/recordings/"+i.Root.String())
	answer(w, http.StatusCreated, p.describeKept(i))
}
