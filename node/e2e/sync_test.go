package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// packets maps the hash of each packet's payload to its presentation time in seconds, by stream kind (0 video, 1 audio).
// Payloads that occur twice are left out.
type packets [2]map[string]float64

// readPackets lets ffprobe hash the packets of the first seconds of url, as they are.
func readPackets(t testing.TB, url string, seconds int) packets {
	t.Helper()
	out, _ := output(t, time.Duration(seconds+40)*time.Second, "ffprobe", "-v", "error", "-read_intervals", "%+"+strconv.Itoa(seconds),
		"-show_data_hash", "MD5", "-show_entries", "packet=codec_type,pts_time,data_hash", "-of", "csv=p=0", url)
	found := packets{{}, {}}
	twice := map[string]bool{}
	for _, line := range strings.Split(out, "\n") {
		fields := strings.Split(line, ",") // video or audio, time, hash
		if len(fields) < 3 {
			continue
		}
		stream := 0
		if fields[0] == "audio" {
			stream = 1
		}
		at, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatalf("ffprobe's packet %q: %v", line, err)
		}
		hash := fields[2]
		if _, ok := found[stream][hash]; ok {
			twice[hash] = true
		}
		found[stream][hash] = at
	}
	for hash := range twice {
		delete(found[0], hash)
		delete(found[1], hash)
	}
	return found
}

// checkSync compares the time of each packet at the player with its time in the clip that ffmpeg pushes: picture and
// sound must have been shifted by the same amount, to 40 ms. Each round of the clip has a shift of its own.
func (s *swarm) checkSync(t testing.TB) {
	t.Helper()
	source, played := readPackets(t, clip(t), 60), readPackets(t, s.page+"live.mp4", 8)
	var shift [2][]float64
	for stream := range played {
		for hash, at := range played[stream] {
			if was, ok := source[stream][hash]; ok {
				shift[stream] = append(shift[stream], at-was)
			}
		}
		if n := len(played[stream]); len(shift[stream]) < n/2 || n < 100 {
			t.Fatalf("of %d packets of stream %d only %d are those pushed", n, stream, len(shift[stream]))
		}
		slices.Sort(shift[stream])
	}
	var apart []float64 // sound after picture
	for _, at := range shift[0] {
		apart = append(apart, nearest(shift[1], at)-at)
	}
	for _, at := range shift[1] {
		apart = append(apart, at-nearest(shift[0], at))
	}
	worst := max(slices.Max(apart), -slices.Min(apart))
	t.Logf("%d pictures and %d frames of sound match; sound against picture: median %+.1f ms, worst %.1f ms",
		len(shift[0]), len(shift[1]), 1000*quantile(apart, 0.5), 1000*worst)
	if worst > 0.040 {
		t.Errorf("sound and picture are %.0f ms apart, more than 40", 1000*worst)
	}
}

// nearest returns the one of sorted that is nearest to x.
func nearest(sorted []float64, x float64) float64 {
	i, _ := slices.BinarySearch(sorted, x)
	switch {
	case i == 0:
		return sorted[0]
	case i == len(sorted) || x-sorted[i-1] < sorted[i]-x:
		return sorted[i-1]
	}
	return sorted[i]
}
