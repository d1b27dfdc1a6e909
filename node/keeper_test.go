package node

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

// keeperOf returns a keeper of the channel stage on a store of its own, and what it says.
func keeperOf(t *testing.T, cfg Recordings) (*keeper, *strings.Builder) {
	t.Helper()
	store, err := archive.Open(archive.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	said := new(strings.Builder)
	l := &library{
		cfg: cfg, log: slog.New(slog.DiscardHandler), store: store, records: map[envelope.Channel]mesh.Record{}, replicas: map[cid.Cid]int{},
	}
	return l.keeper(stage, func(line string) { said.WriteString(line + "\n") }, func() {}), said
}

// TestKeeperBegins: a live broadcast is kept, once, as long as there is room; where there is none, that is said.
func TestKeeperBegins(t *testing.T) {
	k, said := keeperOf(t, Recordings{})
	info := mesh.BroadcastInfo{ID: "talk", Title: "A talk", Started: noon}
	held := k.begin(info)
	rec, ok := held()
	if !ok || rec.Info().Title != "A talk" || !rec.Info().Started.Equal(noon) || rec.Info().Own {
		t.Fatalf("%+v, %t", rec.Info(), ok)
	}
	if again, ok := k.begin(info)(); !ok || again != rec {
		t.Error("a second recording of one broadcast")
	}
	if k.begin(mesh.BroadcastInfo{ID: "../x"}) != nil || !strings.Contains(said.String(), "not kept") {
		t.Errorf("a broadcast without a name: %s", said)
	}
	k.cfg.Disk = 1 // less than the live one takes, which may not go
	said.Reset()
	if k.begin(mesh.BroadcastInfo{ID: "next"}) != nil || !strings.Contains(said.String(), "disk limit") {
		t.Errorf("without room: %s", said)
	}
	k.letGo()
	k.letGo()
	if _, ok := held(); ok || strings.Count(said.String(), "recording pauses") != 1 {
		t.Errorf("over the limit: %t, %s", ok, said)
	}
	k.cfg.Disk = 0
	k.letGo()
	if _, ok := held(); !ok {
		t.Error("with room again, nothing is recorded")
	}
	if k := (&library{}).keeper(stage, nil, nil); k.begin(info) != nil {
		t.Error("kept without a store")
	}
}

// TestKeeperNext: what failed, does not fit, was deleted by hand or is not wanted gets no turn; what most lack comes first.
func TestKeeperNext(t *testing.T) {
	k, _ := keeperOf(t, Recordings{Disk: 15, Keep: Keep{Count: 4}})
	k.census.library.exchange = nil // nobody is asked:
	for n := range 9 {
		k.census.counted[rootOf(n)] = count{time.Now(), time.Hour}
	}
	var err error
	if k.deleted, err = openDeletions(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.next(t.Context()); ok {
		t.Error("something of an empty list")
	}
	large := entry(2)
	large.Size = 16
	k.learn(mesh.Record{Channel: stage, Recordings: []mesh.RecordingInfo{entry(1), large, entry(3), entry(4), entry(5)}})
	if err := k.deleted.add(archive.Key{Channel: stage, Broadcast: "t3"}, false); err != nil {
		t.Fatal(err)
	}
	k.replicas[rootOf(1)] = 3
	turns := func() (list string) {
		for {
			r, ok := k.next(t.Context())
			if !ok {
				return list
			}
			list += r.Broadcast + " "
			k.tried[r.Root] = time.Now() // as if it had failed
		}
	}
	if got := turns(); got != "t4 t1 " {
		t.Errorf("turns: %s", got)
	}
	k.tried[rootOf(1)] = time.Now().Add(-keepEvery)
	if got := turns(); got != "t1 " {
		t.Errorf("after a while: %s", got)
	}
}
