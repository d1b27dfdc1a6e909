package archive

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestEvict holds Evict to its words on random stores.
func TestEvict(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 3))
		var all []Info
		var used, may int64
		for i := range random.IntN(20) {
			info := Info{
				Key: testBroadcast(fmt.Sprint(i)), Started: noon.Add(time.Duration(random.IntN(30)) * time.Hour),
				Size: random.Int64N(1000), Pinned: random.IntN(4) == 0, Own: random.IntN(4) == 0,
				State: []State{Live, Partial, Finished, Finished}[random.IntN(4)],
			}
			all = append(all, info)
			used += info.Size
			if !info.Pinned && info.State != Live {
				may += info.Size
			}
		}
		quota, need := random.Int64N(12_000), random.Int64N(2000)
		gone := Evict(all, quota, need)
		left, last := used, int64(0)
		var order []Info
		for _, k := range gone {
			i := slices.IndexFunc(all, func(info Info) bool { return info.Key == k })
			if all[i].Pinned || all[i].State == Live {
				t.Fatalf("%d: %+v is evicted", seed, all[i])
			}
			left -= all[i].Size
			last = all[i].Size
			order = append(order, all[i])
		}
		switch {
		case used+need <= quota && len(gone) > 0:
			t.Fatalf("%d: %d evicted, where all fits", seed, len(gone))
		case left+need > quota && left != used-may:
			t.Fatalf("%d: it does not fit, though more could go", seed)
		case len(gone) > 0 && left+last+need <= quota:
			t.Fatalf("%d: one more than it takes", seed)
		}
		rank := func(info Info) int {
			n := 0
			if info.Own {
				n += 2
			}
			if info.State != Finished {
				n++
			}
			return n
		}
		for i := range order {
			for _, info := range all {
				if slices.Contains(gone, info.Key) || info.Pinned || info.State == Live {
					continue
				}
				if r, q := rank(info), rank(order[i]); r < q || r == q && info.Started.Before(order[i].Started) {
					t.Fatalf("%d: %+v should have gone before %+v", seed, info, order[i])
				}
			}
		}
		if slices.Contains(gone, Key{}) {
			t.Fatal("an empty key")
		}
	}
}
