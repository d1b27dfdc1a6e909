package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"murmuration/node"
	"murmuration/node/archive"
)

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"0": 0, "1": 1, "512M": 512e6, "200G": 200e9, "200GB": 200e9, "1.5T": 1.5e12, "800k": 800e3, "800K": 800e3, " 2g ": 2e9, "7b": 7, "1e3": 1000, "1 G": 1e9,
	} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "G", "B", "-1", "1X", "1GiB", "0x10", "1e18", "1e9G", "NaN", "Inf", "-Inf", "1G2", "1,5G", "1G\n1"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, b)
		}
	}
	for b, want := range map[byteSize]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9951: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 200e9: "200 GB", 1.5e12: "1.5 TB", 1e17: "100000 TB",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(b), got, want)
		}
	}
}

func TestFindRecording(t *testing.T) {
	list := []node.KeptRecording{
		{Channel: "A", Broadcast: "0mws4qyo", Root: "bafyone"},
		{Channel: "A", Broadcast: "0mws4qyo6dfn"},
		{Channel: "A", Broadcast: "0mws9"},
		{Channel: "A", Broadcast: "twin", Root: "bafytwin"},
		{Channel: "B", Broadcast: "twin"},
	}
	for name, want := range map[string]string{
		"0mws4qyo": "A/0mws4qyo", "bafyone": "A/0mws4qyo", "A/0mws9": "A/0mws9", "0mws9": "A/0mws9", "0mws4qyo6": "A/0mws4qyo6dfn", "bafytwin": "A/twin", "B/twin": "B/twin",
	} {
		r, err := find(list, name)
		if err != nil || r.Channel+"/"+r.Broadcast != want {
			t.Errorf("%s: %s/%s, %v; want %s", name, r.Channel, r.Broadcast, err, want)
		}
	}
	for name, code := range map[string]int{"0mws": exitUsage, "twin": exitUsage, "0mw": exitFailed, "": exitFailed, "bafy": exitFailed, "B/0mws9": exitFailed} {
		if r, err := find(list, name); err == nil || exitCode(err) != code {
			t.Errorf("%q: %+v, %v: exit code %d, want %d", name, r, err, exitCode(err), code)
		}
	}
}

// TestRecordingsRefuse: wrong usage and missing things are said in a line, with the documented exit code.
func TestRecordingsRefuse(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	link := "murmur://12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"
	const root = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
	car := write(t, "x.car", "no CAR", 0o600)
	local := []string{"--no-mdns", "--dht", "off", "--http", "127.0.0.1:0"}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no command", []string{"recordings"}, exitUsage, "expected one of"},
		{"nothing yet", []string{"recordings", "ls"}, 0, "no recordings yet"},
		{"info of nothing", []string{"recordings", "info", "x"}, exitFailed, "recordings ls"},
		{"export of nothing", []string{"recordings", "export", "0mws", "x.mp4"}, exitFailed, "not in the recordings"},
		{"export to where", []string{"recordings", "export", "x"}, exitUsage, "file"},
		{"export to another kind", []string{"recordings", "export", "x", "x.mkv"}, exitUsage, ".mp4"},
		{"a part as CAR", []string{"recordings", "export", "x", "x.car", "--from", "1m"}, exitUsage, "whole"},
		{"backwards", []string{"recordings", "export", "x", "x.mp4", "--from", "2m", "--to", "1m"}, exitUsage, "--to"},
		{"negative", []string{"recordings", "export", "x", "x.mp4", "--from=-1m"}, exitUsage, "--to"},
		{"no time", []string{"recordings", "export", "x", "x.mp4", "--from", "soon"}, exitUsage, "soon"},
		{"import of nothing", []string{"recordings", "import", "nowhere.car"}, exitFailed, "nowhere.car"},
		{"import of no CAR", []string{"recordings", "import", car}, exitStore, "CAR"},
		{"import of empty input", []string{"recordings", "import", "-"}, exitStore, "CAR"},
		{"rm of nothing", []string{"recordings", "rm", "x"}, exitFailed, "not in the recordings"},
		{"rm of what", []string{"recordings", "rm"}, exitUsage, "name"},
		{"pin of nothing", []string{"recordings", "pin", "x"}, exitFailed, "not in the recordings"},
		{"unpin of nothing", []string{"recordings", "unpin", "x"}, exitFailed, "not in the recordings"},
		{"verify of nothing", []string{"recordings", "verify", "x"}, exitFailed, "not in the recordings"},
		{"verify of all of nothing", []string{"recordings", "verify"}, 0, ""},
		{"a file for a folder", []string{"recordings", "ls", "--recordings", car}, exitFailed, "x.car"},

		{"replay of what", []string{"replay"}, exitUsage, "cid|link"},
		{"replay of garbage", append([]string{"replay", "garbage"}, local...), exitUsage, "neither a murmur link nor the CID"},
		{"replay of a page", append([]string{"replay", "https://example.org"}, local...), exitUsage, "neither"},
		{"replay of a bad link", append([]string{"replay", "murmur://nobody"}, local...), exitUsage, "nobody"},
		{"replay from no peer", append([]string{"replay", root, "--peer", "127.0.0.1:4001"}, local...), exitUsage, "--peer"},
		{"replay from a nameless peer", append([]string{"replay", root, "--peer", "/ip4/127.0.0.1/tcp/4001"}, local...), exitUsage, "/p2p/"},
		{"replay with another DHT", []string{"replay", root, "--dht", "on"}, exitUsage, "--dht"},
		{"replay entering nowhere", []string{"replay", root, "--dht-bootstrap", "x"}, exitUsage, "--dht-bootstrap"},
		{"replay of a link that nobody knows", append([]string{"replay", "--no-open", link + "/0mws4qyo6dfne305"}, local...), exitFailed, "no such recording"},

		{"seed with no size", []string{"seed", link, "--disk", "much"}, exitUsage, "200G"},
		{"seed keeping nothing", []string{"seed", link, "--keep", "0"}, exitUsage, "30d"},
		{"seed keeping hours", []string{"seed", link, "--keep", "5h"}, exitUsage, "30d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := try(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, c.code, c.says, stdout, stderr)
			}
			_, said, _ := strings.Cut("\n"+stderr, "\nmurmur: ")
			if said = strings.TrimSpace(said); code != 0 && code != exitUsage && strings.Contains(said, "\n") {
				t.Errorf("more than a line: %s", stderr)
			}
		})
	}
}

// TestRecordingsCommands: what a broadcast leaves is listed, checked, taken out, deleted and taken in again; the same
// while a process has it open, which does the work then.
func TestRecordingsCommands(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("MURMUR_DIR", dir)
	said, stop := origin(t, "--input", "test", "--dht", "off", "--title", "A talk")
	said.expect(t, `^on air`)
	id := func(list string) string {
		for line := range strings.Lines(list) {
			if f := strings.Fields(line); len(f) > 4 && f[0] != "BROADCAST" {
				return f[0]
			}
		}
		t.Fatalf("no recording: %s", list)
		return ""
	}
	good := func(args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := try(t, append([]string{"recordings"}, args...)...)
		if code != 0 {
			t.Fatalf("recordings %v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout, stderr
	}
	bad := func(code int, says string, args ...string) {
		t.Helper()
		got, stdout, stderr := try(t, append([]string{"recordings"}, args...)...)
		if got != code || !strings.Contains(stderr, says) {
			t.Errorf("recordings %v: exit code %d, want %d and %q\n%s%s", args, got, code, says, stdout, stderr)
		}
	}
	awaitRecorded(t, dir, 2)
	out, _ := good("ls")
	if !strings.Contains(out, "live") || !strings.Contains(out, "OTHERS") || !strings.Contains(out, "A talk") {
		t.Errorf("while it is live:\n%s", out)
	}
	talk := id(out)
	bad(exitFailed, "not over", "rm", "-f", talk)
	bad(exitFailed, "not over", "verify", talk)
	if _, said := good("verify"); !strings.Contains(said, "not verified") {
		t.Errorf("verify while it is live: %s", said)
	}
	bad(exitStore, "this is no CAR", "import", write(t, "x.car", "x", 0o600))
	stop()

	// Nobody has it open.
	out, _ = good("ls")
	if !strings.Contains(out, "finished") || strings.Contains(out, "OTHERS") {
		t.Errorf("ls:\n%s", out)
	}
	out, _ = good("--json", "info", talk[:10])
	var r node.KeptRecording
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Broadcast != talk || r.State != archive.Finished || r.Root == "" || !r.Own || len(r.Tracks) != 1 || !strings.Contains(out, `"missing_chunks"`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, _ := good("info", r.Root); !strings.Contains(out, "ipfs pin add "+r.Root) {
		t.Errorf("info: %s", out)
	}
	if out, _ := good("verify"); !strings.Contains(out, talk) || !strings.Contains(out, "ok") {
		t.Errorf("verify: %s", out)
	}
	car, movie := filepath.Join(t.TempDir(), "talk.car"), filepath.Join(t.TempDir(), "talk.mp4")
	good("export", talk, car)
	good("export", talk, movie, "--to", "1s")
	if _, err := exec.LookPath("ffprobe"); err == nil {
		if text, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=format_name", "-of", "csv=p=0", movie).CombinedOutput(); err != nil || !strings.Contains(string(text), "mp4") {
			t.Errorf("the export: %v, %s", err, text)
		}
	}
	good("pin", talk)
	bad(exitFailed, "pinned", "rm", talk)
	good("unpin", talk)
	good("rm", talk, talk)
	if _, said := good("ls"); !strings.Contains(said, "no recordings yet") {
		t.Errorf("after rm: %s", said)
	}
	out, _ = good("import", "--pin", car)
	if strings.TrimSpace(out) != r.Root {
		t.Errorf("import: %s, want %s", out, r.Root)
	}

	// A process has it open.
	_, stop = origin(t, "--dht", "off")
	out, _ = good("ls")
	if !strings.Contains(out, "OTHERS") || !strings.Contains(out, "finished, pinned") || !strings.Contains(out, "?") {
		t.Errorf("ls:\n%s", out)
	}
	if out, _ := good("info", talk); !strings.Contains(out, "others") {
		t.Errorf("info: %s", out)
	}
	bad(exitFailed, "pinned", "rm", talk)
	bad(exitFailed, "recordings ls", "pin", "nobody")
	good("unpin", talk)
	if out, _ := good("ls"); strings.Contains(out, "pinned") {
		t.Errorf("after unpin:\n%s", out)
	}
	if out, _ := good("verify"); !strings.Contains(out, talk) || !strings.Contains(out, " ok") {
		t.Errorf("verify: %s", out)
	}
	good("export", talk, filepath.Join(t.TempDir(), "again.mp4"))
	if _, said := good("rm", "--listed", talk); !strings.Contains(said, "deleted") {
		t.Errorf("rm: %s", said)
	}
	if _, said := good("ls"); !strings.Contains(said, "no recordings yet") {
		t.Errorf("after rm: %s", said)
	}
	torn, err := os.ReadFile(car)
	if err != nil {
		t.Fatal(err)
	}
	bad(exitStore, "torn", "import", write(t, "torn.car", string(torn[:len(torn)/2]), 0o600))
	if out, said := good("import", "--pin", car); strings.TrimSpace(out) != r.Root || !strings.Contains(said, "A talk") {
		t.Errorf("import: %s%s, want %s", out, said, r.Root)
	}
	if out, _ := good("ls"); !strings.Contains(out, "finished, pinned") {
		t.Errorf("after import:\n%s", out)
	}
	stop()
}

// awaitRecorded returns when the process that has the recordings of a folder open tells of one of so many seconds.
func awaitRecorded(t *testing.T, dir string, seconds float64) {
	t.Helper()
	keeper, err := node.FindKeeper(filepath.Join(dir, "recordings"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, keeper.API+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() {
		var s struct {
			Recordings []struct {
				DurationS float64 `json:"duration_s"`
			}
		}
		text, isData := strings.CutPrefix(events.Text(), "data: ")
		if !isData {
			continue
		}
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Recordings) > 0 && s.Recordings[0].DurationS >= seconds {
			return
		}
	}
	t.Fatalf("nothing was recorded: %v", events.Err())
}

// TestRecordingsHeldByNobodyThatAnswers: what holds the lock and takes no requests is named; a file that was left tells
// nobody anything wrong.
func TestRecordingsHeldByNobodyThatAnswers(t *testing.T) {
	dir := t.TempDir()
	s, err := archive.Open(archive.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key := archive.Key{Broadcast: "0mws4qyo6dfne305"}
	if _, err := s.Create(key, archive.Meta{Title: "A talk"}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no file": "", "torn": `{"api":`, "killed": `{"role":"seed","api":"http://127.0.0.1:1","token":"x","pid":1}`,
	} {
		path := filepath.Join(dir, "running.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			os.Remove(path)
		}
		code, _, stderr := try(t, "recordings", "--recordings", dir, "pin", key.Broadcast)
		if code != exitStore || !strings.Contains(stderr, "process ") || !strings.Contains(stderr, "takes no requests") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		code, stdout, stderr := try(t, "recordings", "--recordings", dir, "ls")
		if code != 0 || !strings.Contains(stdout, "A talk") || strings.Contains(stdout, "OTHERS") {
			t.Errorf("%s: ls: exit code %d: %s%s", name, code, stdout, stderr)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The file of a killed process is in nobody's way.
	if code, _, stderr := try(t, "recordings", "--recordings", dir, "pin", key.Broadcast); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (apiShelf{&nodeAPI{who: "seed", base: "http://127.0.0.1:1"}}).list(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
