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

// FuzzBackfill puts any history in front of a list: nothing may panic, and the list's form holds.
func FuzzBackfill(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 9, 9, 9, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStream()
		s.seq = 500
		p := mustNew(Config{Window: time.Hour})
		feed(p, s.take(30)...)
		var history []Part
		for len(b) >= 4 && len(history) < 2000 {
			history = append(history, Part{
				Epoch: 99 + uint64(b[0]%3), Seq: uint64(b[0]>>2)*8 + uint64(b[1]%16), Timescale: 90000 >> (b[1] >> 6), DecodeTime: uint64(b[2]) << (b[1] % 60),
				Duration: uint32(b[3]) * 400, Independent: b[2]&1 > 0, Discontinuity: b[2]&6 == 6, End: b[2] == 255,
				Init: string("ab"[b[3]&1]), Captured: start.Add(time.Duration(b[3]) * time.Second),
			})
			b = b[4:]
		}
		if err := p.Backfill(history, start); err != nil {
			t.Fatal(err)
		}
		c := newChecker(t)
		c.loose = true
		c.reload(p.Render(false))
		feed(p, s.take(30)...)
		c.reload(p.Render(false))
	})
}
