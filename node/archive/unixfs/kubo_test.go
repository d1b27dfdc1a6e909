package unixfs

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"

	"murmuration/node/e2e/kubo"
)

// car writes blocks as a CAR file, version 1 (https://ipld.io/specs/transport/car/carv1/).
func car(root cid.Cid, store blocks) []byte {
	var b bytes.Buffer
	section := func(parts ...[]byte) {
		all := bytes.Join(parts, nil)
		b.Write(binary.AppendUvarint(nil, uint64(len(all))))
		b.Write(all)
	}
	section([]byte("\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"), root.Bytes(), []byte("\x67version\x01"))
	for c, data := range store {
		section(c.Bytes(), data)
	}
	return b.Bytes()
}

// TestKubo has kubo import a recording with a sharded folder, pin it whole, and give its files back. No
// daemon is needed.
func TestKubo(t *testing.T) {
	ipfs := kubo.Program(t)
	repo := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(ipfs, args...)
		cmd.Env = append(os.Environ(), "IPFS_PATH="+repo)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ipfs %v: %v: %s", args, err, &errs)
		}
		return out
	}
	run("init", "--empty-repo")
	r := testPicture(t)
	store := maps.Clone(r.blocks)
	root, _ := build(t, r.source(), store)
	path := filepath.Join(t.TempDir(), "recording.car")
	if err := os.WriteFile(path, car(root, store), 0o600); err != nil {
		t.Fatal(err)
	}
	run("--offline", "dag", "import", "--pin-roots", path)
	dir := unpack(t, store, root)
	got := filepath.Join(t.TempDir(), "got")
	run("--offline", "get", "-o", got, root.String())
	for _, name := range []string{"index.m3u8", "recording.mp4", "segments/s-1790000000-8-15.m4s", "poster.mp4", "info.json"} {
		if !bytes.Equal(read(t, got, name), read(t, dir, name)) {
			t.Errorf("%s differs", name)
		}
	}
	part := run("--offline", "cat", "--offset", "300000", "--length", "200000", root.String()+"/recording.mp4")
	if !bytes.Equal(part, read(t, dir, "recording.mp4")[300000:500000]) {
		t.Error("a range of recording.mp4 differs")
	}
	if list := strings.Fields(string(run("--offline", "ls", root.String()+"/segments"))); !slices.Contains(list, "s-1790000000-0-7.m4s") {
		t.Errorf("ls: %v", list)
	}
	run("--offline", "pin", "verify")

	// A long recording, whose folder of segments is sharded. Its chunks are not there: their bytes are not made.
	src, long := made(70_000, 1000)
	own := blocks{}
	root, _ = build(t, src, own)
	maps.Copy(own, long)
	if err := os.WriteFile(path, car(root, own), 0o600); err != nil {
		t.Fatal(err)
	}
	run("--offline", "dag", "import", "--pin-roots=false", path)
	v, err := Open(t.Context(), root, own.fetch)
	if err != nil {
		t.Fatal(err)
	}
	sharded := strings.Fields(string(run("--offline", "ls", "--resolve-type=false", "--size=false", root.String()+"/segments")))
	if want := len(v.Tracks[0].List.Segments); len(sharded) != 2*want {
		t.Errorf("kubo lists %d words for %d segments", len(sharded), want)
	}
}
