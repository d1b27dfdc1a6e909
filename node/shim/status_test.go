package shim

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestStatusLists checks that lists are lists.
func TestStatusLists(t *testing.T) {
	st := Status{Broadcasts: []BroadcastStatus{{Tracks: []TrackStatus{{}}}}}
	text, err := json.Marshal(st.normal())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"recordings":[]`, `"stripes":[]`, `"store":{"bytes":0,"quota_bytes":0,"free_bytes":0,"recordings":0}`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}
