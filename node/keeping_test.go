package node

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	stage = envelope.Channel{1}
)

// talk is a recording that started so many hours before noon, named after that.
func talk(hours int, state archive.State) archive.Info {
	return archive.Info{
		Key: archive.Key{Channel: stage, Broadcast: fmt.Sprintf("t%d", hours)}, Started: noon.Add(-time.Duration(hours) * time.Hour),
		State: state, Size: 10, Root: rootOf(hours),
	}
}

func rootOf(n int) cid.Cid { return envelope.RawCID([]byte{byte(n), byte(n >> 8)}) }

// entry is how the channel lists a talk.
func entry(hours int) mesh.RecordingInfo {
	i := talk(hours, archive.Finished)
	return mesh.RecordingInfo{Broadcast: i.Key.Broadcast, Started: i.Started, Root: i.Root, Size: i.Size}
}

func changed(i archive.Info, f func(*archive.Info)) archive.Info {
	f(&i)
	return i
}

func names(keys []archive.Key) []string {
	list := []string{}
	for _, k := range keys {
		list = append(list, k.Broadcast)
	}
	return list
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]Keep{
		"": {}, "all": {}, "1": {Count: 1}, "20": {Count: 20}, "100000": {Count: 100_000},
		"1d": {Age: 24 * time.Hour}, "30d": {Age: 720 * time.Hour},
	} {
		k, err := ParseKeep(text)
		if err != nil || k != want {
			t.Errorf("%q: %+v, %v", text, k, err)
		}
		if again, err := ParseKeep(k.String()); err != nil || again != k {
			t.Errorf("%q: %+v from its text %q, %v", text, again, k, err)
		}
	}
	if k, err := ParseKeep(" 20 "); err != nil || k.Count != 20 {
		t.Errorf("%+v, %v", k, err)
	}
	for _, text := range []string{"0", "-1", "0d", "d", "1.5", "30h", "30 d", "ALL", "100001", "100001d", "9223372036854775808", "none"} {
		if k, err := ParseKeep(text); err == nil {
			t.Errorf("%q: %+v", text, k)
		}
	}
}

func TestKeepWanted(t *testing.T) {
	finished, live, partial := archive.Finished, archive.Live, archive.Partial
	pinned := func(i *archive.Info) { i.Pinned = true }
	own := func(i *archive.Info) { i.Own = true }
	other := func(i *archive.Info) { i.Key.Channel[5]++ }
	for _, c := range []struct {
		name         string
		keep         Keep
		here         []archive.Info
		listed       []mesh.RecordingInfo
		wanted, gone []string
	}{
		{"nothing", Keep{Count: 1}, nil, nil, nil, nil},
		{"all", Keep{}, []archive.Info{talk(1, finished)}, []mesh.RecordingInfo{entry(1), entry(900)}, []string{"t1", "t900"}, nil},
		{"the last two", Keep{Count: 2}, []archive.Info{talk(3, finished), talk(2, finished)}, []mesh.RecordingInfo{entry(1)}, []string{"t1", "t2"}, []string{"t3"}},
		{"a live one counts", Keep{Count: 2}, []archive.Info{talk(0, live), talk(2, finished)}, []mesh.RecordingInfo{entry(1), entry(2)}, []string{"t0", "t1"}, []string{"t2"}},
		{"a live one stays", Keep{Count: 1}, []archive.Info{talk(1, live)}, []mesh.RecordingInfo{entry(0)}, []string{"t0"}, nil},
		{"a partial one goes", Keep{Count: 1}, []archive.Info{talk(1, partial)}, []mesh.RecordingInfo{entry(0)}, []string{"t0"}, []string{"t1"}},
		{"a pinned one stays and counts", Keep{Count: 1}, []archive.Info{changed(talk(1, finished), pinned), talk(2, finished)}, nil, []string{"t1"}, []string{"t2"}},
		{"an old pinned one stays", Keep{Count: 1}, []archive.Info{changed(talk(9, finished), pinned), talk(2, finished)}, nil, []string{"t2"}, nil},
		{"own ones are not a seed's business", Keep{Count: 1}, []archive.Info{changed(talk(1, finished), own), talk(2, finished)}, nil, []string{"t2"}, nil},
		{"nor another channel's", Keep{Count: 1}, []archive.Info{changed(talk(1, finished), other), talk(2, finished)}, nil, []string{"t2"}, nil},
		{"days", Keep{Age: 48 * time.Hour}, []archive.Info{talk(48, finished), talk(49, finished)}, []mesh.RecordingInfo{entry(50)}, []string{"t48"}, []string{"t49"}},
		{"days and a number", Keep{Age: 48 * time.Hour, Count: 1}, []archive.Info{talk(47, finished), talk(46, finished)}, nil, []string{"t46"}, []string{"t47"}},
	} {
		wanted := slices.Sorted(maps.Keys(c.keep.wanted(stage, c.here, c.listed, noon)))
		if !slices.Equal(wanted, c.wanted) {
			t.Errorf("%s: wanted %v, want %v", c.name, wanted, c.wanted)
		}
		if gone := names(c.keep.unwanted(stage, c.here, c.listed, noon)); !slices.Equal(gone, append([]string{}, c.gone...)) {
			t.Errorf("%s: deleted %v, want %v", c.name, gone, c.gone)
		}
	}
}

func TestRoomFor(t *testing.T) {
	finished, live, partial := archive.Finished, archive.Live, archive.Partial
	for _, c := range []struct {
		name  string
		here  []archive.Info
		quota int64
		gone  []string
		fits  bool
	}{
		{"empty", nil, 10, nil, true},
		{"too large", nil, 9, nil, false},
		{"beside another", []archive.Info{talk(1, finished)}, 20, nil, true},
		{"in place of an older one", []archive.Info{talk(6, finished), talk(7, finished)}, 20, []string{"t7"}, true},
		{"not in place of a newer one", []archive.Info{talk(1, finished)}, 10, nil, false},
		{"nor of a pinned one", []archive.Info{changed(talk(7, finished), func(i *archive.Info) { i.Pinned = true })}, 10, []string{}, false},
		{"nor of a live one", []archive.Info{talk(7, live)}, 10, []string{}, false},
		{"what is here of it counts", []archive.Info{talk(1, finished), changed(talk(5, partial), func(i *archive.Info) { i.Size = 8 })}, 20, nil, true},
		{"and is not deleted for itself", []archive.Info{changed(talk(5, partial), func(i *archive.Info) { i.Size = 8 })}, 10, nil, true},
		{"it is larger than was said", []archive.Info{changed(talk(5, partial), func(i *archive.Info) { i.Size = 12 })}, 12, nil, true},
	} {
		gone, fits := roomFor(stage, entry(5), c.here, c.quota)
		if fits != c.fits || fits && !slices.Equal(names(gone), append([]string{}, c.gone...)) {
			t.Errorf("%s: %v, %t; want %v, %t", c.name, names(gone), fits, c.gone, c.fits)
		}
	}
}

// TestKeepingSettles: from wherever a seed starts, fetching what is wanted and deleting what is not comes to rest, within
// the limit, with nothing fetched twice.
func TestKeepingSettles(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		keep := Keep{Count: random.IntN(5)}
		if random.IntN(3) == 0 {
			keep.Age = time.Duration(1+random.IntN(30)) * time.Hour
		}
		quota := int64(10 + random.IntN(80))
		var here []archive.Info
		var listed []mesh.RecordingInfo
		for hours := range 12 {
			size := int64(1 + random.IntN(20))
			if random.IntN(3) > 0 {
				i := talk(hours, []archive.State{archive.Finished, archive.Partial, archive.Live}[random.IntN(3)])
				i.Size, i.Pinned = size, random.IntN(6) == 0
				here = append(here, i)
			}
			if random.IntN(3) > 0 {
				e := entry(hours)
				e.Size = size + int64(random.IntN(3))
				listed = append(listed, e)
			}
		}
		drop := func(gone []archive.Key) {
			here = slices.DeleteFunc(here, func(i archive.Info) bool { return slices.Contains(gone, i.Key) })
		}
		used := func() (sum int64) {
			for _, i := range here {
				sum += i.Size
			}
			return sum
		}
		fetched := map[string]int{}
		for round := 0; ; round++ {
			drop(keep.unwanted(stage, here, listed, noon))
			drop(archive.Evict(here, quota, 0))
			wanted := keep.wanted(stage, here, listed, noon)
			var next mesh.RecordingInfo
			for _, r := range listed {
				whole := slices.ContainsFunc(here, func(i archive.Info) bool {
					return i.Key.Broadcast == r.Broadcast && i.State == archive.Finished
				})
				if _, fits := roomFor(stage, r, here, quota); fits && wanted[r.Broadcast] && !whole {
					next = r
					break
				}
			}
			if next.Broadcast == "" {
				break
			}
			if fetched[next.Broadcast]++; fetched[next.Broadcast] > 2 || round > 50 {
				t.Fatalf("seed %d, keep %v, quota %d: %s is fetched again and again", seed, keep, quota, next.Broadcast)
			}
			gone, _ := roomFor(stage, next, here, quota)
			drop(gone)
			key := archive.Key{Channel: stage, Broadcast: next.Broadcast}
			pinned := slices.ContainsFunc(here, func(i archive.Info) bool { return i.Key == key && i.Pinned })
			drop([]archive.Key{key})
			here = append(here, archive.Info{Key: key, Started: next.Started, State: archive.Finished, Size: next.Size, Pinned: pinned, Root: next.Root})
		}
		fixed := int64(0)
		for _, i := range here {
			if i.Pinned || i.State == archive.Live {
				fixed += i.Size
			}
		}
		if u := used(); u > max(quota, fixed) {
			t.Fatalf("seed %d: %d bytes of %d, %d of them fixed", seed, u, quota, fixed)
		}
	}
}

func TestRarestFirst(t *testing.T) {
	list := []mesh.RecordingInfo{entry(1), entry(2), entry(3), entry(4)}
	others := map[cid.Cid]int{rootOf(1): 5, rootOf(2): 1, rootOf(4): 1}
	rarestFirst(list, func(c cid.Cid) int { return others[c] })
	got := []string{}
	for _, r := range list {
		got = append(got, r.Broadcast)
	}
	if want := []string{"t3", "t2", "t4", "t1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestCensusIsPaced: each is counted soon, then ever later, and never more at once than a round takes.
func TestCensusIsPaced(t *testing.T) {
	c := new(library).census(func() {})
	var roots []cid.Cid
	for n := range 100 {
		roots = append(roots, rootOf(n))
	}
	asked := map[cid.Cid][]time.Time{}
	for now := noon; now.Before(noon.Add(4 * time.Hour)); now = now.Add(keepEvery) {
		round := c.due(roots, now)
		if len(round) > countRound {
			t.Fatalf("%d at once", len(round))
		}
		for _, root := range round {
			asked[root] = append(asked[root], now)
		}
	}
	for root, at := range asked {
		if first := at[1].Sub(at[0]); first < countFirst*3/4 || first > 2*countFirst {
			t.Errorf("%v: again after %v", root, first)
		}
		if n := len(at); n < 10 || n > 15 {
			t.Errorf("%v: asked %d times in 4 hours", root, n)
		}
		for i := range at[1:] {
			if pause := at[i+1].Sub(at[i]); pause > countEvery+5*keepEvery {
				t.Errorf("%v: not asked for %v", root, pause)
			}
		}
	}
	if len(asked) != len(roots) {
		t.Errorf("%d of %d were asked for", len(asked), len(roots))
	}
}

func TestHold(t *testing.T) {
	here := []archive.Info{
		talk(1, archive.Finished), talk(2, archive.Finished), talk(3, archive.Finished), talk(4, archive.Live),
		changed(talk(5, archive.Finished), func(i *archive.Info) { i.Missing = 1; i.Pinned = true }),
	}
	others := map[cid.Cid]int{rootOf(1): 4, rootOf(2): 0}
	got := hold(here, func(c cid.Cid) (int, bool) { n, known := others[c]; return n, known })
	if want := (holding{Recordings: 5, Whole: 3, Pinned: 1, Bytes: 50, Alone: 1, Fewest: 0, Uncounted: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := hold(nil, nil); got != (holding{Fewest: countMost}) {
		t.Errorf("%+v", got)
	}
}
