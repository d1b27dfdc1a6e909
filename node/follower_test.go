package node

import (
	"context"
	"testing"
	"time"

	"murmuration/mesh"
)

// TestLinkBeforeTheTalk: a viewer that opens a broadcast's link before it begins is not told that it is over; once a
// record has listed it, a record that does not is its end.
func TestLinkBeforeTheTalk(t *testing.T) {
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	defer o.Close()
	link := o.shareLink()
	link.Broadcast = "0000000000000001"
	v := newViewer(t, link.String())
	defer v.Close()
	f := v.follower
	defer f.wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	info := mesh.BroadcastInfo{ID: link.Broadcast, Title: "Talk", Started: time.Now()}
	f.watch(ctx, info)
	w := f.watching[info.ID]
	for _, c := range []struct {
		name   string
		listed []mesh.BroadcastInfo
		gone   bool
	}{
		{"planned", nil, false},
		{"live", []mesh.BroadcastInfo{info}, false},
		{"no longer listed", nil, true},
	} {
		f.update(ctx, mesh.Record{Channel: link.Channel, Broadcasts: c.listed})
		if gone := w.gone.Err() != nil; gone != c.gone {
			t.Errorf("%s: given up: %v", c.name, gone)
		}
	}
}
