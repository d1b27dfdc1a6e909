package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

func TestDeletions(t *testing.T) {
	dir := t.TempDir()
	s, err := archive.Open(archive.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	gone, listed := archive.Key{Channel: stage, Broadcast: "gone"}, archive.Key{Channel: stage, Broadcast: "listed"}
	for _, k := range []archive.Key{gone, listed} {
		if _, err := s.Create(k, archive.Meta{}); err != nil {
			t.Fatal(err)
		}
		if err := DeleteRecording(s, dir, k, k == listed); err != nil {
			t.Fatal(err)
		}
	}
	if err := DeleteRecording(s, dir, archive.Key{Channel: stage, Broadcast: "never"}, false); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
	d, err := openDeletions(dir)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[archive.Key][2]bool{
		gone: {true, true}, listed: {true, false}, {Channel: envelope.Channel{2}, Broadcast: "gone"}: {}, {Channel: stage, Broadcast: "never"}: {},
	} {
		if deleted, withdrawn := d.has(k); deleted != want[0] || withdrawn != want[1] {
			t.Errorf("%v: %t, %t; want %v", k, deleted, withdrawn, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, deletedFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if deleted, _ := (*deletions)(nil).has(gone); deleted {
		t.Error("nothing is kept, yet something was deleted")
	}
	again, err := archive.Open(archive.Config{Dir: dir, ReadOnly: true}) // the files beside the recordings disturb nothing
	if err != nil || len(again.List()) != 0 {
		t.Errorf("%v", err)
	}
}

// TestDeletionsAreBounded: the oldest are forgotten.
func TestDeletionsAreBounded(t *testing.T) {
	d, err := openDeletions(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxDeleted + 10 {
		d.note(deletion{Channel: mesh.ChannelName(stage), Broadcast: fmt.Sprint("b", n)})
	}
	for n, want := range map[int]bool{0: false, 9: false, 10: true, maxDeleted + 9: true} {
		if deleted, _ := d.has(archive.Key{Channel: stage, Broadcast: fmt.Sprint("b", n)}); deleted != want {
			t.Errorf("%d: %t", n, deleted)
		}
	}
	if err := d.add(archive.Key{Channel: stage, Broadcast: "b10"}, false); err != nil {
		t.Fatal(err)
	}
	if again, err := openDeletions(filepath.Dir(d.path)); err != nil || len(again.all) != maxDeleted {
		t.Errorf("%d, %v", len(again.all), err)
	}
}

// TestDeletionsHostile: a file that is not ours keeps nobody from starting, nor from deleting.
func TestDeletionsHostile(t *testing.T) {
	for name, text := range map[string]string{
		"torn": `[{"channel":"`, "not a list": `{}`, "no channel": `[{"broadcast":"x"}]`,
		"bad id": `[{"channel":"` + mesh.ChannelName(stage) + `","broadcast":"../x"}]`, "too large": strings.Repeat(" ", maxDeletedBytes+1),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, deletedFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := openDeletions(dir)
		if err == nil || d == nil {
			t.Errorf("%s: %v, %v", name, d, err)
			continue
		}
		if err := d.add(archive.Key{Channel: stage, Broadcast: "x"}, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeDeletions(f *testing.F) {
	f.Add([]byte(`[{"channel":"` + mesh.ChannelName(stage) + `","broadcast":"x","at":"2026-11-22T12:00:00Z","listed":true}]`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := decodeDeletions(text)
		if err == nil && len(all) > maxDeleted {
			t.Errorf("%d deletions", len(all))
		}
	})
}
