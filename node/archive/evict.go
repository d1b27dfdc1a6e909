package archive

import (
	"cmp"
	"slices"
)

// Evict chooses which recordings must go so that need more bytes fit into a quota of bytes: unpinned ones only, those of
// ended broadcasts, oldest first; a finished one before a partial one, an other channel's before an own. It returns
// them in the order in which they are to go, and nothing more than it takes; where all that may go is not enough, all of it.
// What is live is never chosen.
func Evict(all []Info, quota, need int64) []Key {
	var used int64
	var may []Info
	for _, info := range all {
		used += info.Size
		if !info.Pinned && info.State != Live {
			may = append(may, info)
		}
	}
	slices.SortStableFunc(may, func(a, b Info) int {
		return cmp.Or(
			compareBools(a.Own, b.Own),
			compareBools(a.State != Finished, b.State != Finished),
			a.Started.Compare(b.Started),
			cmp.Compare(a.Key.Broadcast, b.Key.Broadcast),
		)
	})
	var gone []Key
	for _, info := range may {
		if used+need <= quota {
			break
		}
		used -= info.Size
		gone = append(gone, info.Key)
	}
	return gone
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
