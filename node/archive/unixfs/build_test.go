package unixfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	boxo "github.com/ipfs/boxo/ipld/unixfs/io"
	blocksformat "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// dagService lets boxo read and write a store of blocks.
type dagService struct{ blocks }

func (d dagService) Get(_ context.Context, c cid.Cid) (ipld.Node, error) {
	b, err := d.get(c)
	if err != nil {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	block, err := blocksformat.NewBlockWithCid(b, c)
	if err != nil {
		return nil, err
	}
	if c.Type() == cid.Raw {
		return merkledag.DecodeRawBlock(block)
	}
	return merkledag.DecodeProtobufBlock(block)
}

func (d dagService) GetMany(ctx context.Context, cids []cid.Cid) <-chan *ipld.NodeOption {
	out := make(chan *ipld.NodeOption, len(cids))
	for _, c := range cids {
		n, err := d.Get(ctx, c)
		out <- &ipld.NodeOption{Node: n, Err: err}
	}
	close(out)
	return out
}

func (d dagService) Add(_ context.Context, n ipld.Node) error {
	d.blocks[n.Cid()] = n.RawData()
	return nil
}

func (d dagService) AddMany(ctx context.Context, nodes []ipld.Node) error {
	for _, n := range nodes {
		if err := d.Add(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (d dagService) Remove(context.Context, cid.Cid) error       { return errors.ErrUnsupported }
func (d dagService) RemoveMany(context.Context, []cid.Cid) error { return errors.ErrUnsupported }

// unpack writes a view as plain files, read by boxo: what `ipfs get` does.
func unpack(t testing.TB, store blocks, root cid.Cid) string {
	t.Helper()
	dir := t.TempDir()
	dag := dagService{store}
	var walk func(c cid.Cid, path string)
	walk = func(c cid.Cid, path string) {
		n, err := dag.Get(t.Context(), c)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if folder, err := boxo.NewDirectoryFromNode(dag, n); err == nil {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			links, err := folder.Links(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			for _, l := range links {
				walk(l.Cid, filepath.Join(path, l.Name))
			}
			return
		}
		r, err := boxo.NewDagReader(t.Context(), n, dag)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		b, err := io.ReadAll(r)
		if err != nil || uint64(len(b)) != r.Size() {
			t.Fatalf("%s: %d bytes of %d: %v", path, len(b), r.Size(), err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	walk(root, dir)
	return dir
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBuild checks a recording of the test picture file by file, as boxo reads it.
func TestBuild(t *testing.T) {
	r := testPicture(t)
	store := maps.Clone(r.blocks)
	root, _ := build(t, r.source(), store)
	dir := unpack(t, store, root)
	var movie bytes.Buffer
	movie.Write(r.blocks[r.parts[0].Init])
	for _, p := range r.parts {
		movie.Write(r.blocks[p.Block])
	}
	whole := read(t, dir, "recording.mp4")
	if at := bytes.Index(whole, []byte("sidx")) - 4; at != len(r.blocks[r.parts[0].Init]) ||
		!bytes.Equal(slices.Delete(whole, at, at+2*(40+12*(len(r.parts)-1))), movie.Bytes()) {
		t.Error("recording.mp4 is not the init segment, an index and all chunks")
	}
	if !bytes.Equal(read(t, dir, "init.mp4"), r.blocks[r.parts[0].Init]) {
		t.Error("init.mp4 is not the init segment")
	}
	info, err := ParseInfo(read(t, dir, "info.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := info.Verify(testChannel); err != nil {
		t.Error(err)
	}
	if !info.Tracks[0].Complete || info.Tracks[0].Width != 320 || !strings.HasPrefix(info.Tracks[0].Codecs, "avc1.") {
		t.Errorf("info: %+v", info)
	}
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "recording.mp4"), "-f", "null", "-")
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "index.m3u8"), "-f", "null", "-")
	if length := seconds64(t, quiet(t, "ffprobe", "-v", "warning", "-show_entries", "format=duration", "-of", "csv=p=0",
		filepath.Join(dir, "recording.mp4"))); length < 12 || length > 12.1 {
		t.Errorf("recording.mp4 is said to last %v s", length)
	}
	again, _ := build(t, r.source(), blocks{})
	if again != root {
		t.Errorf("roots %s and %s of the same source", root, again)
	}
	t.Logf("%s\n%s", read(t, dir, "info.json"), read(t, dir, "index.m3u8"))
}

// frames returns the hashes of a file's packets, of picture and sound apart, times left out.
func frames(t *testing.T, args ...string) map[string][]string {
	t.Helper()
	args = append(append([]string{"-nostdin", "-v", "warning"}, args...), "-map", "0", "-c", "copy", "-f", "framemd5", "-")
	list := map[string][]string{}
	for line := range strings.Lines(quiet(t, "ffmpeg", args...)) {
		if f := strings.Split(line, ","); len(f) == 6 && !strings.HasPrefix(line, "#") {
			list[f[0]] = append(list[f[0]], strings.TrimSpace(f[4])+" "+strings.TrimSpace(f[5]))
		}
	}
	return list
}

// TestFrames checks that recording.mp4 and the playlist give every frame that the chunks hold, and that a reader that
// seeks by the index finds the picture it looks for.
func TestFrames(t *testing.T) {
	r := played(t, 1000, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=21", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=21",
		"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3", "-pix_fmt", "yuv420p", "-c:a", "aac")
	store := maps.Clone(r.blocks)
	root, _ := build(t, r.source(), store)
	checkView(t, r.source(), store, r.blocks, root)
	dir := unpack(t, store, root)
	var plain bytes.Buffer
	plain.Write(r.blocks[r.parts[0].Init])
	for _, p := range r.parts {
		plain.Write(r.blocks[p.Block])
	}
	path := filepath.Join(t.TempDir(), "plain.mp4")
	if err := os.WriteFile(path, plain.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want := frames(t, "-i", path)
	if len(want["0"]) != 525 {
		t.Errorf("%d pictures", len(want["0"]))
	}
	for _, name := range []string{"recording.mp4", "index.m3u8"} {
		got := frames(t, "-i", filepath.Join(dir, name))
		for stream, list := range want {
			if !slices.Equal(got[stream], list) {
				t.Errorf("%s: stream %s has %d frames, the chunks %d, or others", name, stream, len(got[stream]), len(list))
			}
		}
	}
	for _, at := range []string{"0", "5", "12.2", "20"} {
		seek := frames(t, "-ss", at, "-i", filepath.Join(dir, "recording.mp4"))["0"]
		all := want["0"]
		if len(seek) == 0 || len(seek) > len(all) || !slices.Equal(seek, all[len(all)-len(seek):]) || len(seek)%50 != 25 {
			t.Errorf("from %s s: %d pictures", at, len(seek))
		}
	}
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-ss", "13", "-i", filepath.Join(dir, "recording.mp4"), "-f", "null", "-")
}
