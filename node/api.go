package node

import (
	"encoding/json"
	"net/http"
)

// serveAPI registers what the origin lets a program do over HTTP, beyond what every participant shows. The shim asks for
// the token before any of it is reached.
func (o *Origin) serveAPI() {
	o.shim.Handle("DELETE /api/v1/broadcasts/{id}", http.HandlerFunc(o.deleteBroadcast))
}

// deleteBroadcast ends a broadcast now, without waiting for its feed's grace. The next feed opens a new one.
func (o *Origin) deleteBroadcast(w http.ResponseWriter, r *http.Request) {
	b := o.broadcastByID(r.PathValue("id"))
	if b == nil {
		answerError(w, http.StatusNotFound, "there is no broadcast of that id")
		return
	}
	if err := o.end(b); err != nil {
		answerError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (o *Origin) broadcastByID(id string) *broadcast {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.broadcasts {
		if info, ok := b.record(); ok && info.ID == id {
			return b
		}
	}
	return nil
}

func answerError(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}
