package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"murmuration/node/shim"
)

var (
	languageOnce sync.Once
	languagePath string
	languageErr  error
)

// languageClip makes, once, half a minute of another tone than the clip's, as an interpreter's desk would send it: sound alone.
// It has a crackle in it, so that no two of its frames are the same.
func languageClip(t testing.TB) string {
	t.Helper()
	languageOnce.Do(func() {
		languagePath = filepath.Join(filepath.Dir(murmur), "language.m4a")
		out, err := exec.Command("ffmpeg", "-v", "error", "-y",
			"-f", "lavfi", "-i", "sine=frequency=880:sample_rate=48000", "-f", "lavfi", "-i", "anoisesrc=sample_rate=48000:amplitude=0.02:seed=7",
			"-filter_complex", "amix", "-t", "30", "-c:a", "aac", "-b:a", "96k", languagePath).CombinedOutput()
		if err != nil {
			languageErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	if languageErr != nil {
		t.Fatalf("ffmpeg could not make the second sound: %v", languageErr)
	}
	return languagePath
}

// speak starts ffmpeg pushing sound alone as a further track, over and over.
func (s *swarm) speak(t testing.TB, track string) *process {
	t.Helper()
	return start(t, "ffmpeg "+track, "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-i", languageClip(t),
		"-c", "copy", "-f", "flv", s.server+"/"+s.key+"?track="+track)
}

// soundHashes returns the hashes of a source's frames of sound, in order. Options go before the input.
func soundHashes(t testing.TB, url string, options ...string) []string {
	t.Helper()
	args := append([]string{"-nostdin", "-v", "error"}, options...)
	out, _ := output(t, time.Minute, "ffmpeg", append(args, "-i", url, "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-")...)
	var hashes []string
	for line := range strings.Lines(out) {
		if fields := strings.Split(strings.TrimSpace(line), ","); !strings.HasPrefix(line, "#") && len(fields) >= 6 {
			hashes = append(hashes, strings.TrimSpace(fields[5]))
		}
	}
	return hashes
}

// tracks returns the status of the page's broadcast's tracks by name.
func tracks(s shim.Status) map[string]shim.TrackStatus {
	found := map[string]shim.TrackStatus{}
	for _, b := range s.Broadcasts {
		for _, t := range b.Tracks {
			found[t.Name] = t
		}
	}
	return found
}

// renditions returns the addresses of the sounds that a multivariant playlist offers, by name.
func renditions(t testing.TB, at string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(string(fetch(t, at))) {
		if rest, ok := strings.CutPrefix(line, "#EXT-X-MEDIA:TYPE=AUDIO"); ok {
			_, name, _ := strings.Cut(rest, `NAME="`)
			_, uri, _ := strings.Cut(rest, `URI="`)
			name, _, _ = strings.Cut(name, `"`)
			uri, _, _ = strings.Cut(uri, `"`)
			found[name] = resolve(t, at, uri)
		}
	}
	return found
}

// TestLanguages is a broadcast with a second sound, from an encoder of its own: a viewer behind a seed is offered it, carries it
// only once somebody there listens, and hears what was pushed; the page changes to it without a stall; its encoder is killed
// and comes back; and the recording has both.
func TestLanguages(t *testing.T) {
	clip(t)
	languageClip(t)
	s := newSwarm(t, 1, "--dht", "off", "--grace", "2s")
	feed := s.push(t)
	id := s.origin.expect(t, 20*time.Second, `^on air .*\((\w+)\)`)
	voice := s.speak(t, "de")
	s.origin.expect(t, 20*time.Second, `track=de.*|a further track is on main's timeline`)

	var offered map[string]string
	eventually(t, 20*time.Second, "the viewer offers the second sound", func() bool {
		offered = renditions(t, s.page+"live.m3u8")
		return len(offered) == 2
	})
	if offered["Original"] == "" || offered["de"] == "" {
		t.Fatalf("offered: %v", offered)
	}
	if de := tracks(s.status(t))["de"]; de.Chunks.Received != 0 || de.NewestSeq != 0 {
		t.Errorf("the viewer carries de before anybody asked for it: %+v", de)
	}
	if n := s.viewer.count(`joined a further track`); n != 0 {
		t.Errorf("the viewer has joined a further track %d times before anybody asked for it", n)
	}

	b := openBrowser(t)
	b.startUp(s.page)
	watch(t, b, 5*time.Second)
	if n := s.viewer.count(`joined a further track`); n != 0 {
		t.Errorf("the viewer has joined a further track for a page that plays the first")
	}

	// The same frames, one after the other.
	heard := soundHashes(t, offered["de"], "-t", "6")
	checkHeard(t, "de at the viewer", heard, soundHashes(t, languageClip(t)))
	if n := s.viewer.count(`joined a further track`); n != 1 {
		t.Errorf("the viewer joined a further track %d times, want 1", n)
	}

	// The page changes over.
	b.choose("de")
	decoded := b.decoded()
	watch(t, b, 10*time.Second)
	if n := b.decoded() - decoded; n < 50_000 { // 12 kB a second
		t.Errorf("%d bytes of sound were decoded in ten seconds", n)
	}

	// Its encoder is killed, and comes back: whoever listens has silence meanwhile, and no stall.
	voice.stop(syscall.SIGKILL)
	s.origin.expect(t, 30*time.Second, `feed lost .*track de`)
	watch(t, b, 6*time.Second)
	s.speak(t, "de")
	s.origin.expectNth(t, 2, 20*time.Second, `a further track is on main's timeline`)
	<-time.After(4 * time.Second) // until what comes is at the player
	heard = soundHashes(t, offered["de"], "-live_start_index", "-2", "-t", "4")
	checkHeard(t, "de after its encoder came back", heard, soundHashes(t, languageClip(t)))
	watch(t, b, 5*time.Second)

	feed.stop(syscall.SIGTERM)
	root := s.origin.expect(t, 60*time.Second, `^recording .*\(`+id+`\).* /ipfs/(\w+)$`)
	origin := s.origin.expect(t, time.Second, `^page +(http://\S+)`)
	s.checkBoth(t, origin+"ipfs/"+root+"/")
	keeps(t, s.seeds[0], id, root) // with the same root: it has both, too
}

// checkHeard wants a run of frames to be one of the source's, which is played over and over; silence may stand before it.
func checkHeard(t testing.TB, what string, heard, source []string) {
	t.Helper()
	at, matched := -1, 0
	for i, h := range heard {
		if at < 0 {
			at = slices.Index(source, h)
		} else if at++; at == len(source) {
			at = 0
			if h != source[0] { // the first frame of a round may be a priming one
				at = slices.Index(source, h)
			}
		}
		if at < 0 {
			continue
		}
		if source[at] != h {
			var rest []int // where in the source what comes is, -1: nowhere
			for _, h := range heard[i:min(i+8, len(heard))] {
				rest = append(rest, slices.Index(source, h))
			}
			t.Errorf("%s: after %d frames of the source's come its %v instead of its %dth; %d of %d were heard before these", what, matched, rest, at, i-matched, len(heard))
			return
		}
		matched++
	}
	t.Logf("%s: %d of %d frames are the source's, one after the other", what, matched, len(heard))
	if matched < 100 {
		t.Errorf("%s: only %d of %d frames are the source's", what, matched, len(heard))
	}
}

// checkBoth wants the recording at a folder's address to have picture and both sounds.
func (s *swarm) checkBoth(t testing.TB, at string) {
	t.Helper()
	text := string(fetch(t, at+"index.m3u8"))
	if !strings.Contains(text, `NAME="Original",DEFAULT=YES`) || !strings.Contains(text, `NAME="de",LANGUAGE="de"`) {
		t.Errorf("the recording's playlist:\n%s", text)
	}
	var length [2]float64
	for i, path := range []string{"main/recording.mp4", "de/recording.mp4"} {
		out, _ := output(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "stream=codec_type:format=duration,start_time", "-of", "default=nw=1", at+path)
		for line := range strings.Lines(out) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "duration="); ok {
				length[i], _ = strconv.ParseFloat(v, 64)
			}
		}
		t.Logf("%s: %s", path, strings.ReplaceAll(strings.TrimSpace(out), "\n", " "))
		if video := strings.Contains(out, "codec_type=video"); video != (i == 0) || !strings.Contains(out, "codec_type=audio") {
			t.Errorf("%s has %s", path, out)
		}
	}
	if length[1] < 20 || length[0]-length[1] > 15 {
		t.Errorf("main is %.1f s, de %.1f", length[0], length[1])
	}
}

// TestLanguagesInTime pushes both tracks with one ffmpeg, whose clock they share, and measures how far apart they are played.
func TestLanguagesInTime(t *testing.T) {
	s := newStage(t)
	start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-i", clip(t), "-re", "-stream_loop", "-1", "-i", languageClip(t),
		"-map", "0", "-c", "copy", "-f", "flv", s.server+"/"+s.key, "-map", "1", "-c", "copy", "-f", "flv", s.server+"/"+s.key+"?track=de")
	s.expect(t, 20*time.Second, `a further track is on main's timeline`)
	<-time.After(5 * time.Second) // until there is something to read
	shift := func(kind int, source, played packets) []float64 {
		var found []float64
		for hash, at := range played[kind] {
			if was, ok := source[kind][hash]; ok {
				found = append(found, at-was)
			}
		}
		slices.Sort(found)
		return found
	}
	main := shift(0, readPackets(t, clip(t), 60), readPackets(t, s.page+"live.mp4", 6))
	de := shift(1, readPackets(t, languageClip(t), 60), readPackets(t, s.page+"live.mp4?track=de", 6))
	if len(main) < 100 || len(de) < 100 {
		t.Fatalf("only %d pictures and %d frames of sound are those pushed", len(main), len(de))
	}
	apart := quantile(de, 0.5) - nearest(main, quantile(de, 0.5))
	t.Logf("de against main: %+.1f ms (%d pictures, %d frames of sound)", 1000*apart, len(main), len(de))
	if apart > 0.15 || apart < -0.15 {
		t.Errorf("de is %+.0f ms from main, more than 150", 1000*apart)
	}
}

// TestLanguageAfterABreak has a second sound begin after the first feed broke off and returned, which numbers main's media anew:
// a page that comes then changes to it and goes on, and so it does when the first feed breaks off again.
func TestLanguageAfterABreak(t *testing.T) {
	clip(t)
	languageClip(t)
	s := newSwarm(t, 1, "--dht", "off")
	feed := s.push(t)
	s.origin.expect(t, 20*time.Second, `^on air `)
	<-time.After(4 * time.Second) // of the broadcast before the break
	feed.stop(syscall.SIGKILL)
	s.origin.expect(t, 30*time.Second, `feed lost`)
	feed = s.push(t)
	s.origin.expectNth(t, 2, 20*time.Second, `^feed from `)
	<-time.After(3 * time.Second)
	s.speak(t, "de")
	s.origin.expect(t, 20*time.Second, `a further track is on main's timeline`)
	eventually(t, 20*time.Second, "the viewer offers the second sound", func() bool { return len(renditions(t, s.page+"live.m3u8")) == 2 })

	b := openBrowser(t)
	b.startUp(s.page)
	b.choose("de")
	watch(t, b, 8*time.Second)
	eval[bool](b, `(() => { document.getElementById('sound').focus(); return true; })()`) // which shows the controls
	<-time.After(time.Second)
	b.screenshot("languages")
	eval[bool](b, `(() => { document.activeElement.blur(); return true; })()`)
	b.startUp(s.page) // it is remembered
	b.until(20*time.Second, `window.murmur.sound === 'de'`)
	watch(t, b, 5*time.Second)

	// Before it began there is the first sound, and back at live again the one that was chosen.
	eval[bool](b, `(() => { document.getElementById('from-start').click(); return true; })()`)
	b.until(20*time.Second, `window.murmur.videoTime < 5 && window.murmur.sound === 'Original'`)
	b.mark()
	b.until(20*time.Second, `window.murmur.videoTime > window.before + 2 && window.murmur.sound === 'Original'`)
	eval[bool](b, `(() => { document.getElementById('go-live').click(); return true; })()`)
	b.until(20*time.Second, `window.murmur.sound === 'de' && window.murmur.latency() < 5`)
	watch(t, b, 5*time.Second)

	feed.stop(syscall.SIGKILL)
	s.origin.expectNth(t, 2, 30*time.Second, `feed lost`)
	s.push(t)
	s.origin.expectNth(t, 3, 20*time.Second, `^feed from `)
	b.mark()
	b.until(30*time.Second, `window.murmur.videoTime > window.before + 4 && window.murmur.sound === 'de'`)
	watch(t, b, 8*time.Second)
}

// decoded returns how many bytes of sound the page's player has decoded.
func (b *browser) decoded() int {
	b.t.Helper()
	return eval[int](b, `document.querySelector('video').webkitAudioDecodedByteCount`)
}

// choose takes a sound from the page's menu.
func (b *browser) choose(sound string) {
	b.t.Helper()
	b.until(20*time.Second, `[...document.querySelectorAll('#sound option')].some((o) => o.value === '`+sound+`')`)
	eval[bool](b, `(() => { const s = document.getElementById('sound'); s.value = '`+sound+`'; s.dispatchEvent(new Event('change')); return true; })()`)
	b.until(20*time.Second, `window.murmur.sound === '`+sound+`'`)
}
