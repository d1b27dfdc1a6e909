package playlist

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzParseMedia: hostile text never brings the parser down, and what it takes it takes the same way twice.
func FuzzParseMedia(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.m3u8")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART:URI=\"\",DURATION=NaN\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMedia(text)
		if err == nil && m.TargetDuration <= 0 {
			t.Error("no target duration")
		}
		if v, err := ParseMultivariant(text); err == nil {
			for _, v := range v {
				if v.URI == "" {
					t.Error("variant without URI")
				}
			}
		}
	})
}

// FuzzPush: whatever chunks a channel signs, in whatever order, the list stays well formed. Each 12 bytes are a part.
func FuzzPush(f *testing.F) {
	f.Add([]byte("\x00\x00\x01\x00\x00\x00\xff\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\xff\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := mustNew(Config{Window: 6 * time.Second})
		c := newChecker(t)
		c.loose = true
		now := start
		for len(data) >= 12 {
			b := data[:12]
			data = data[12:]
			part := Part{
				Epoch: uint64(b[0] & 3), Seq: uint64(b[1]), Timescale: 1000,
				DecodeTime: uint64(binary.LittleEndian.Uint16(b[2:])), Duration: uint32(b[4]),
				Independent: b[5]&1 != 0, Discontinuity: b[5]&2 != 0, End: b[5]&0xfc == 0xfc,
				Captured: start.Add(time.Duration(binary.LittleEndian.Uint16(b[6:])) * time.Millisecond),
				Init:     string('a' + rune(b[8]&1)), Size: int(b[9]),
			}
			if b[10] == 255 {
				part.DecodeTime += 1<<64 - 1<<16
			}
			now = now.Add(time.Duration(b[11]) * 10 * time.Millisecond)
			version := p.Version()
			p.Tick(now)
			if err := p.Push(part, now); err != nil {
				continue
			}
			if version != p.Version() && !p.Empty() {
				c.reload(p.Render(false))
			}
		}
	})
}
