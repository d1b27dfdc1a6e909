package sim

import (
	"strings"
	"testing"
)

// TestWays has one lane that comes straight from the origin, one by way of another peer, one that runs in a circle and one
// that nobody pushes: the last two do not count.
func TestWays(t *testing.T) {
	s, err := Parse([]byte("name: x\npeers: 2\nplace: {plane: {base: 20ms}}\norigin: {up: 10M, down: 10M}\nclasses: [{name: x, up: 10M, down: 10M}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	parents := map[[2]int]int{{1, 0}: 0, {1, 1}: 2, {2, 1}: 0, {1, 2}: 2, {2, 2}: 1, {1, 3}: -1}
	var w Ways
	w.Add(p, 1, 4, func(node, lane int) int { return parents[[2]int{node, lane}] })
	const want = "one way: direct 20 ms, a lane 30, a peer's slowest lane 40; 1.50 hops a lane, of 20 20 ms (2 lanes of 1 peers)"
	if got := w.String(); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
