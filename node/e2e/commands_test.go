package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// Exit codes of murmur that these tests meet.
	exitFailed = 1
	exitUsage  = 2
	exitStore  = 6

	// noRecording is a CID that is nobody's: the empty UnixFS directory.
	noRecording = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
)

// listedRecording is what murmur recordings ls --json tells of one.
type listedRecording struct {
	Broadcast, State, Root string
	DurationS              float64 `json:"duration_s"`
	Bytes                  int64
	Media                  int64 `json:"media_bytes"`
	Pinned                 bool
}

func listRecordings(t testing.TB, dir string) []listedRecording {
	t.Helper()
	var list []listedRecording
	if err := json.Unmarshal([]byte(recordings(t, dir, "ls", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// checkCommands does with the recording in dir, whose origin has gone, what murmur recordings can do.
func checkCommands(t *testing.T, dir, id, root string, pushed frames) {
	out := t.TempDir()
	t.Run("look", func(t *testing.T) {
		for _, want := range []string{id, "finished", "10s", "Live"} {
			if text := recordings(t, dir, "ls"); !strings.Contains(text, want) {
				t.Errorf("ls does not tell of %q:\n%s", want, text)
			}
		}
		if list := listRecordings(t, dir); len(list) != 1 || list[0].Root != root || list[0].Broadcast != id || list[0].DurationS < 9.9 {
			t.Errorf("ls --json: %+v", list)
		}
		for _, name := range []string{id, id[:8], root} {
			if text := recordings(t, dir, "info", name); !strings.Contains(text, root) || !strings.Contains(text, "0 missing") {
				t.Errorf("info %s:\n%s", name, text)
			}
		}
		if text := recordings(t, dir, "verify"); !strings.Contains(text, ": ok") {
			t.Errorf("verify:\n%s", text)
		}
	})
	t.Run("range", func(t *testing.T) { checkRange(t, dir, id, pushed) })
	t.Run("car", func(t *testing.T) { checkCAR(t, dir, id, root) })
	t.Run("pin", func(t *testing.T) {
		recordings(t, dir, "pin", id)
		if !listRecordings(t, dir)[0].Pinned {
			t.Error("it is not pinned")
		}
		refused(t, exitFailed, "is pinned", dir, "rm", id)
		recordings(t, dir, "unpin", root)
		if listRecordings(t, dir)[0].Pinned {
			t.Error("it is still pinned")
		}
	})
	t.Run("wrong", func(t *testing.T) {
		refused(t, exitFailed, "not in the recordings: 0nobody0", dir, "info", "0nobody0")
		refused(t, exitFailed, noRecording, dir, "export", noRecording, filepath.Join(out, "no.mp4"))
		refused(t, exitUsage, "ends neither in .mp4 nor in .car", dir, "export", id, filepath.Join(out, "talk.avi"))
		refused(t, exitUsage, "--to must be after --from", dir, "export", id, filepath.Join(out, "no.mp4"), "--from", "3s", "--to", "2s")
		refused(t, exitFailed, "no such file", dir, "import", filepath.Join(out, "none.car"))
		if left, _ := filepath.Glob(filepath.Join(out, "*")); len(left) > 0 {
			t.Errorf("what failed left %v", left)
		}
	})
	t.Run("two", func(t *testing.T) {
		// The lock is a running origin's: pins and imports go over its API, and a second origin is refused.
		newStage(t, "--recordings", filepath.Join(dir, "recordings"))
		if list := listRecordings(t, dir); len(list) != 1 {
			t.Errorf("ls beside an origin: %+v", list)
		}
		recordings(t, dir, "verify", id)
		recordings(t, dir, "pin", id)
		if !listRecordings(t, dir)[0].Pinned {
			t.Error("it is not pinned")
		}
		recordings(t, dir, "unpin", id)
		file := filepath.Join(t.TempDir(), "talk.car")
		recordings(t, dir, "export", id, file)
		recordings(t, dir, "import", file)
		if list := listRecordings(t, dir); len(list) != 1 {
			t.Errorf("after an import of what is there: %+v", list)
		}
		second := start(t, "second origin", murmur, "origin", "--dir", t.TempDir(), "--recordings", filepath.Join(dir, "recordings"), "--dht", "off",
			"--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0")
		select {
		case <-second.done:
			if code := second.cmd.ProcessState.ExitCode(); code != exitStore || !strings.Contains(second.output(), "in use by another process") {
				t.Errorf("the second origin ended with exit code %d:\n%s", code, second.output())
			}
			t.Logf("the second origin: %s", second.output())
		case <-time.After(patience * 10 * time.Second):
			t.Errorf("the second origin runs on:\n%s", second.output())
		}
	})
	t.Run("rm", func(t *testing.T) {
		recordings(t, dir, "rm", id[:8])
		if list := listRecordings(t, dir); len(list) != 0 {
			t.Errorf("it is still there: %+v", list)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "recordings", "*", id+"*")); len(left) != 0 {
			t.Errorf("rm left %v", left)
		}
		refused(t, exitFailed, id, dir, "rm", id)
	})
}

// checkRange exports four seconds from the middle: pictures from the keyframe before, each as it was pushed.
func checkRange(t *testing.T, dir, id string, pushed frames) {
	file := filepath.Join(t.TempDir(), "middle.mp4")
	recordings(t, dir, "export", id, file, "--from", "3s", "--to", "7s")
	got := readFrames(t, file)
	for stream := range got {
		n := len(got[stream])
		if n == 0 {
			t.Fatalf("stream %d is empty", stream)
		}
		at := 0
		for at < len(pushed[stream]) && pushed[stream][at] != got[stream][0] {
			at++
		}
		if at+n > len(pushed[stream]) {
			t.Fatalf("stream %d: %d frames from the one at %d of %d on", stream, n, at, len(pushed[stream]))
		}
		for i, f := range got[stream] {
			if f != pushed[stream][at+i] {
				t.Fatalf("stream %d: frame %d is not the one that was pushed", stream, i)
			}
		}
		rate := float64(len(pushed[stream])) / 10 // a second
		from, to := float64(at)/rate, float64(at+n)/rate
		t.Logf("stream %d: from %.2f s to %.2f s", stream, from, to)
		if from < 1.9 || from > 3.1 || to < 6.9 || to > 7.5 {
			t.Errorf("stream %d goes from %.2f s to %.2f s, not from the keyframe before 3 s to 7 s", stream, from, to)
		}
	}
}

// checkCAR takes a recording out as a CAR file and into another folder, where it has the same root; and CAR files that are no
// such thing, which are refused and leave nothing.
func checkCAR(t *testing.T, dir, id, root string) {
	out, other := t.TempDir(), t.TempDir()
	car := filepath.Join(out, "talk.car")
	recordings(t, dir, "export", id, car)
	if got := strings.TrimSpace(recordings(t, other, "import", car)); got != root {
		t.Errorf("import says %q, not %s", got, root)
	}
	if text := recordings(t, other, "verify"); !strings.Contains(text, ": ok") {
		t.Errorf("verify after import:\n%s", text)
	}
	again := filepath.Join(out, "again.car")
	recordings(t, other, "export", root, again)
	if a, b := readFile(t, car), readFile(t, again); !bytes.Equal(a, b) {
		t.Errorf("the CAR of the imported recording has %d bytes, or others than the %d of the first", len(b), len(a))
	}

	whole := readFile(t, car)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for _, c := range []struct {
		name string
		data []byte
		line string
	}{
		{"flipped", flipped, "CAR: mismatch in content integrity"},
		{"torn", whole[:len(whole)*2/3], "the CAR is torn"},
		{"text", []byte("this is no CAR file, whatever its name says\n"), "this is no CAR"},
		{"empty", nil, "this is no CAR"},
		{"movie", readFile(t, talkClip(t, 10)), "this is no CAR"},
	} {
		file := filepath.Join(out, c.name+".car")
		if err := os.WriteFile(file, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		fresh := t.TempDir()
		refused(t, exitStore, "not a recording that can be accepted: "+c.line, fresh, "import", file)
		if list := listRecordings(t, fresh); len(list) != 0 {
			t.Errorf("%s: %+v was taken in", c.name, list)
		}
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
