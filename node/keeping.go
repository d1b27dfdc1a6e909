package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

// What a keeper keeps, fetches and deletes is decided here, from lists and a time alone.

// wanted returns the broadcasts of a channel whose recordings are kept: by Keep, counted over all that are known, be
// they here, live ones among them, or only listed. Counting these apart would fetch again what was just deleted.
func (k Keep) wanted(channel envelope.Channel, here []archive.Info, listed []mesh.RecordingInfo, now time.Time) map[string]bool {
	type known struct {
		broadcast string
		started   time.Time
	}
	var all []known
	seen := map[string]bool{}
	for _, i := range here {
		if i.Key.Channel == channel && !i.Own {
			seen[i.Key.Broadcast] = true
			all = append(all, known{i.Key.Broadcast, i.Started})
		}
	}
	for _, r := range listed {
		if !seen[r.Broadcast] {
			seen[r.Broadcast] = true
			all = append(all, known{r.Broadcast, r.Started})
		}
	}
	slices.SortFunc(all, func(a, b known) int {
		return cmp.Or(b.started.Compare(a.started), cmp.Compare(b.broadcast, a.broadcast))
	})
	kept := map[string]bool{}
	for newer, x := range all {
		if k.wants(x.started, newer, now) {
			kept[x.broadcast] = true
		}
	}
	return kept
}

// unwanted returns which recordings of a channel are to be deleted since Keep does not want them: neither pinned nor live
// ones, nor those of the owner.
func (k Keep) unwanted(channel envelope.Channel, here []archive.Info, listed []mesh.RecordingInfo, now time.Time) []archive.Key {
	kept := k.wanted(channel, here, listed, now)
	var gone []archive.Key
	for _, i := range here {
		if i.Key.Channel == channel && !i.Own && !i.Pinned && i.State != archive.Live && !kept[i.Key.Broadcast] {
			gone = append(gone, i.Key)
		}
	}
	return gone
}

// rarestFirst puts what the fewest others have first, and leaves equals in their order.
func rarestFirst(list []mesh.RecordingInfo, others func(cid.Cid) int) {
	slices.SortStableFunc(list, func(a, b mesh.RecordingInfo) int { return others(a.Root) - others(b.Root) })
}

// roomFor returns what is to be deleted before a recording can be fetched into a quota of bytes, and whether it fits then
// without the deletion of a newer one. What is here of it already counts, and stays.
func roomFor(channel envelope.Channel, r mesh.RecordingInfo, here []archive.Info, quota int64) (gone []archive.Key, fits bool) {
	key := archive.Key{Channel: channel, Broadcast: r.Broadcast}
	list := slices.Clone(here)
	need := r.Size
	var used int64
	for i := range list {
		used += list[i].Size
		if list[i].Key == key {
			list[i].Pinned = true // in this list
			need = max(0, r.Size-list[i].Size)
		}
	}
	gone = archive.Evict(list, quota, need)
	for _, k := range gone {
		i := slices.IndexFunc(list, func(i archive.Info) bool { return i.Key == k })
		if !list[i].Started.Before(r.Started) {
			return nil, false
		}
		used -= list[i].Size
	}
	return gone, used+need <= quota
}
