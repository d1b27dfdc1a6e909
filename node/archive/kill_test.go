package archive

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// TestMain appends chunks for ever where TestKill runs this program again.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ARCHIVE_KILL_DIR"); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForEver goes on with the recording in dir and prints the seq of each chunk that was appended.
func appendForEver(dir string) error {
	s, err := Open(Config{Dir: dir})
	if err != nil {
		return err
	}
	src := newStream("talk", 20_000)
	r, err := s.Create(src.key, Meta{})
	if err != nil {
		return err
	}
	src.seq, err = strconv.ParseUint(os.Getenv("ARCHIVE_KILL_SEQ"), 10, 64)
	if err != nil {
		return err
	}
	var t testing.B // for Fatal only
	for {
		c := src.next(&t)
		added, err := r.Append(c)
		if err != nil {
			return err
		}
		if added { // else a chunk of this id was in flight when the process before was killed: the first one stands
			fmt.Println(c.Seq, c.Envelope.Block)
		}
	}
}

// TestKill kills a process that appends, at random moments: everything that it said it had is there.
func TestKill(t *testing.T) {
	dir := shm(t)
	random := rand.New(rand.NewPCG(8, 9))
	said := map[uint64]string{}
	next := uint64(0)
	for range 20 {
		cmd := exec.CommandContext(context.Background(), os.Args[0])
		cmd.Env = append(os.Environ(), "ARCHIVE_KILL_DIR="+dir, fmt.Sprintf("ARCHIVE_KILL_SEQ=%d", next))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := 1 + random.IntN(60)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			seq, block, _ := strings.Cut(lines.Text(), " ")
			v, err := strconv.ParseUint(seq, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			said[v], next = block, v+1
			if n == after {
				delay := time.Duration(random.IntN(2000)) * time.Microsecond
				time.AfterFunc(delay, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
	}
	s := mustOpen(t, Config{Dir: dir})
	r, ok := s.Lookup(testBroadcast("talk"))
	if !ok {
		t.Fatal("no recording")
	}
	tr := mustTrack(t, r, "main")
	for seq, block := range said {
		c, ok := tr.Chunk(envelope.ID{Epoch: 1_790_000_000, Seq: seq})
		if !ok || c.Envelope.Block.String() != block {
			t.Errorf("chunk %d is lost", seq)
		}
	}
	rep, err := r.Verify(t.Context(), nil)
	if err != nil || !rep.OK() || rep.Lost != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	t.Logf("%d chunks, killed 20 times, %d of them lost", len(said), rep.Missing)
}
