package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"murmuration/node"
	"murmuration/node/archive"
	"murmuration/node/archive/unixfs"
)

// recordingsCmd works on the recordings on this machine.
type recordingsCmd struct {
	Dir        string `type:"path" placeholder:"DIR" help:"The --dir of the origin or seed whose recordings are meant (default: the usual one)."`
	Recordings string `name:"recordings" type:"path" placeholder:"DIR" help:"Folder of the recordings (default: recordings in --dir, else murmur/recordings in the user's data folder)."`
	JSON       bool   `name:"json" help:"Print JSON."`

	Ls     recordingsLsCmd     `cmd:"" help:"List the recordings, newest first."`
	Info   recordingsInfoCmd   `cmd:"" help:"Tell all about one."`
	Export recordingsExportCmd `cmd:"" help:"Write one to a file: MP4, or CAR for any IPFS node."`
	Import recordingsImportCmd `cmd:"" help:"Take in the recording that a CAR file holds."`
	Rm     recordingsRmCmd     `cmd:"" help:"Delete recordings."`
	Pin    recordingsPinCmd    `cmd:"" help:"Keep recordings whatever the disk limit."`
	Unpin  recordingsUnpinCmd  `cmd:"" help:"Let recordings go again when the disk limit asks for it."`
	Verify recordingsVerifyCmd `cmd:"" help:"Check every hash and signature."`
}

// Help is shown below the flags.
func (recordingsCmd) Help() string {
	return `A recording is named by its broadcast's id, the beginning of it, or its root CID.
All of it works while an origin, a seed or a viewer has the recordings open: what changes them, that process is asked to
do (it keeps its address and token in running.json in their folder).
OTHERS in ls is how many others have a recording, by the IPFS DHT; only a running process knows.

Examples:
  murmur recordings ls
  murmur recordings export 0mws4q talk.mp4                       the whole, nothing re-encoded
  murmur recordings export 0mws4q intro.mp4 --from 1m --to 3m30s
  murmur recordings export 0mws4q talk.car                       for: ipfs dag import talk.car
  murmur recordings export 0mws4q board.mp4 --link 'murmur://...&k=...'    a private one that was kept for others
  murmur recordings rm 0mws4q                                    also off the channel's list, where it is your channel's
  murmur recordings rm 0mws4q --listed                           make room: seeds have it, so the channel goes on listing it
  murmur recordings verify`
}

func printIndented(e *env, v any) error {
	out := json.NewEncoder(e.stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

type recordingsLsCmd struct{}

// Run is called by kong.
func (recordingsLsCmd) Run(e *env, parent *recordingsCmd) error {
	s, running, err := parent.look(e)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.list(e.ctx)
	if err != nil {
		return err
	}
	if parent.JSON {
		return printIndented(e, append([]node.KeptRecording{}, list...))
	}
	if len(list) == 0 {
		e.say("There are no recordings yet: an origin and a seed keep what they carry.")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	others := func(string) string { return "" }
	if running {
		others = func(cell string) string { return cell + "\t" }
	}
	fmt.Fprintf(w, "BROADCAST\tSTARTED\tLENGTH\tSIZE\tSTATE\t%sTITLE\n", others("OTHERS"))
	var size int64
	for _, r := range list {
		size += r.Bytes
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%s\t%s%s\n", r.Broadcast, r.Started.Local().Format("2006-01-02 15:04"),
			seconds(r.DurationS), byteSize(r.Bytes), stateText(r), others(othersText(r)), r.Title)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	e.say("%s, %v", plural(len(list), "recording"), byteSize(size))
	return nil
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// stateText says in a few words how far a recording is.
func stateText(r node.KeptRecording) string {
	text := string(r.State)
	if r.Missing > 0 {
		text += ", " + plural(r.Missing, "chunk") + " missing"
	}
	if r.Private {
		text += ", private"
	}
	if r.Pinned {
		text += ", pinned"
	}
	return text
}

// othersText says how many others have a recording.
func othersText(r node.KeptRecording) string {
	switch {
	case r.Replicas == nil:
		return "?"
	case *r.Replicas >= 20: // as far as is counted
		return "20+"
	}
	return strconv.Itoa(*r.Replicas)
}

type recordingsInfoCmd struct {
	Name string `arg:"" help:"Which: id, its beginning, or root CID."`
}

// Run is called by kong.
func (c recordingsInfoCmd) Run(e *env, parent *recordingsCmd) error {
	s, running, err := parent.look(e)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.list(e.ctx)
	if err != nil {
		return err
	}
	r, err := find(list, c.Name)
	if err != nil {
		return err
	}
	if parent.JSON {
		return printIndented(e, r)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("broadcast", "%s", r.Broadcast)
	line("title", "%s", r.Title)
	line("channel", "%s", r.Channel)
	line("state", "%s", stateText(r))
	line("started", "%s", r.Started.Local().Format(time.DateTime))
	if r.Ended != nil {
		line("ended", "%s", r.Ended.Local().Format(time.DateTime))
	}
	line("length", "%v", seconds(r.DurationS))
	line("size", "%v on disk, %v of media", byteSize(r.Bytes), byteSize(r.Media))
	for _, t := range r.Tracks {
		line("track", "%s: %s, %v, %d missing", t.Name, plural(t.Chunks, "chunk"), seconds(t.DurationS), t.Missing)
	}
	if running {
		line("others", "%s", othersText(r))
	}
	if r.Root != "" {
		line("root", "%s", r.Root)
		line("replay", "murmur replay %s", r.Root)
		line("pin", "ipfs pin add %s", r.Root)
	}
	return w.Flush()
}

type recordingsExportCmd struct {
	Name  string        `arg:"" help:"Which: id, its beginning, or root CID."`
	File  string        `arg:"" help:"Where to: a name that ends in .mp4 or .car, or - for MP4 on standard output."`
	Track string        `placeholder:"NAME" help:"Which track of it (MP4; default: main, with its sound). --from and --to count from its beginning."`
	From  time.Duration `help:"Begin so far into it (MP4): 1m30s. It begins with the keyframe before."`
	To    time.Duration `help:"End there (MP4; default: the end)."`
	Link  string        `placeholder:"LINK" help:"The link with the key, of a private recording (MP4; default: the key is in --dir, where it was broadcast or watched)."`
}

// Run is called by kong.
func (c recordingsExportCmd) Run(e *env, parent *recordingsCmd) error {
	car := strings.EqualFold(filepath.Ext(c.File), ".car")
	switch {
	case !car && c.File != "-" && !strings.EqualFold(filepath.Ext(c.File), ".mp4"):
		return usageError{fmt.Errorf("%s ends neither in .mp4 nor in .car", c.File)}
	case car && (c.From != 0 || c.To != 0 || c.Track != ""):
		return usageError{errors.New("a CAR holds the whole recording: --track, --from and --to are for .mp4")}
	case car && c.Link != "":
		return usageError{errors.New("a CAR is of what is kept, sealed as it is: --link is for .mp4")}
	case c.From < 0 || c.To < 0 || c.To != 0 && c.To <= c.From:
		return usageError{errors.New("--to must be after --from")}
	}
	s, err := parent.open(e, false)
	if err != nil {
		return err
	}
	files := fileShelf{store: s}
	defer s.Close()
	list, err := files.list(e.ctx)
	if err != nil {
		return err
	}
	named, err := find(list, c.Name)
	if err != nil {
		return err
	}
	r, err := files.recording(named)
	if err != nil {
		return err
	}
	var open func(string) unixfs.Opener
	if !car {
		if open, err = node.OpenRecording(parent.Dir, c.Link, r.Info()); err != nil {
			return err
		}
	}
	m := newMeter(e.stderr)
	err = whole(e, c.File, func(w io.Writer) error {
		if car {
			return r.ExportCAR(e.ctx, w, m.bar("exporting"))
		}
		return r.ExportMP4(e.ctx, w, c.Track, open, c.From, c.To, m.bar("exporting"))
	})
	m.clear()
	if err == nil && c.File != "-" {
		e.say("wrote     %s", c.File)
	}
	return err
}

// whole writes a file that is there whole or not at all.
func whole(e *env, name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(e.stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".murmur-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone where all went well
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

type recordingsImportCmd struct {
	File string `arg:"" help:"A .car file, or - for standard input."`
	Pin  bool   `help:"Pin it, too."`
}

// Run is called by kong.
func (c recordingsImportCmd) Run(e *env, parent *recordingsCmd) error {
	in, total := e.stdin, int64(0)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			total = info.Size()
		}
		in = f
	}
	s, err := parent.change(e)
	if err != nil {
		return err
	}
	defer s.close()
	m := newMeter(e.stderr)
	show := m.bar("importing")
	r, err := s.take(e.ctx, in, c.Pin, func(done int64) { show(done, total) })
	m.clear()
	if err != nil {
		return err
	}
	e.say("imported  %q, %v, %v", r.Title, seconds(r.DurationS), byteSize(r.Bytes))
	_, err = fmt.Fprintln(e.stdout, r.Root)
	return err
}

type recordingsRmCmd struct {
	Names  []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
	Force  bool     `short:"f" help:"Delete pinned ones, too."`
	Listed bool     `help:"Your channel goes on listing them, since others have them: to make room."`
}

// Run is called by kong.
func (c recordingsRmCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.each(e, c.Names, func(s shelf, r node.KeptRecording) error {
		if err := s.remove(e.ctx, r, c.Force, c.Listed); err != nil {
			return err
		}
		e.say("deleted   %s %q, %v", r.Broadcast, r.Title, byteSize(r.Bytes))
		return nil
	})
}

type recordingsPinCmd struct {
	Names []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
}

// Run is called by kong.
func (c recordingsPinCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.setPinned(e, c.Names, true, "pinned    ")
}

// setPinned pins recordings or lets them go, and says so of each.
func (c recordingsCmd) setPinned(e *env, names []string, pinned bool, done string) error {
	return c.each(e, names, func(s shelf, r node.KeptRecording) error {
		if err := s.pin(e.ctx, r, pinned); err != nil {
			return err
		}
		e.say("%s%s %q", done, r.Broadcast, r.Title)
		return nil
	})
}

type recordingsUnpinCmd struct {
	Names []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
}

// Run is called by kong.
func (c recordingsUnpinCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.setPinned(e, c.Names, false, "unpinned  ")
}

// each changes the recordings that the names mean. All names are looked up before the first change.
func (c recordingsCmd) each(e *env, names []string, do func(shelf, node.KeptRecording) error) error {
	s, err := c.change(e)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.list(e.ctx)
	if err != nil {
		return err
	}
	var all []node.KeptRecording
	for _, name := range names {
		r, err := find(list, name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(x node.KeptRecording) bool { return x.Channel == r.Channel && x.Broadcast == r.Broadcast }) {
			all = append(all, r)
		}
	}
	for _, r := range all {
		if err := do(s, r); err != nil {
			return err
		}
	}
	return nil
}

// choose returns the recordings of a list that the names mean; no names mean all.
func choose(list []node.KeptRecording, names []string) ([]node.KeptRecording, error) {
	if len(names) == 0 {
		return list, nil
	}
	var chosen []node.KeptRecording
	for _, name := range names {
		r, err := find(list, name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, r)
	}
	return chosen, nil
}

type recordingsVerifyCmd struct {
	Names []string `arg:"" optional:"" name:"name" help:"Which (default: all)."`
}

// Run is called by kong. A process that has the recordings open checks them itself: it has to know what is damaged.
func (c recordingsVerifyCmd) Run(e *env, parent *recordingsCmd) error {
	s, running, err := parent.look(e)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.list(e.ctx)
	if err != nil {
		return err
	}
	if list, err = choose(list, c.Names); err != nil {
		return err
	}
	checked, bad := 0, 0
	for _, r := range list {
		if running && r.State == archive.Live && len(c.Names) == 0 {
			e.say("%s  is live: not verified", r.Broadcast)
			continue
		}
		found, err := verify(e, s, r)
		if err != nil {
			return err
		}
		checked++
		if !found.ok {
			bad++
		}
		if _, err := fmt.Fprintf(e.stdout, "%s  %d blocks, %v: %s\n", r.Broadcast, found.blocks, byteSize(found.bytes), found); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %s damaged: a seed of the channel mends what it keeps, from others", bad, plural(checked, "recording"))
	}
	return nil
}

// finding is what came of a verification.
type finding struct {
	ok                                bool
	blocks, damaged, unsigned, missed int
	bytes, lost                       int64
	view                              string
}

// String says it in a few words.
func (f finding) String() string {
	text := "ok"
	if !f.ok {
		text = fmt.Sprintf("DAMAGED: %s, %d without a valid signature, %v unreadable", plural(f.damaged, "block"), f.unsigned, byteSize(f.lost))
		if f.view != "" {
			text += ", " + f.view
		}
	}
	if f.missed > 0 {
		text += "; " + plural(f.missed, "chunk") + " missing"
	}
	return text
}

// verify checks a recording, with a bar.
func verify(e *env, s shelf, r node.KeptRecording) (finding, error) {
	m := newMeter(e.stderr)
	defer m.clear()
	bar := m.bar(r.Broadcast)
	switch s := s.(type) {
	case apiShelf:
		now, err := s.verify(e.ctx, r, bar)
		if err != nil {
			return finding{}, err
		}
		c := now.Check
		if c.OK == nil {
			return finding{}, fmt.Errorf("%s: %s", r.Broadcast, c.Error)
		}
		return finding{*c.OK, c.Blocks, c.Damaged, c.Unsigned, now.Missing, c.DoneBytes, c.Lost, c.View}, nil
	case fileShelf:
		rec, err := s.recording(r)
		if err != nil {
			return finding{}, err
		}
		report, err := rec.Verify(e.ctx, bar)
		if err != nil {
			return finding{}, err
		}
		f := finding{
			ok: report.OK(), blocks: report.Blocks, damaged: len(report.Damaged), unsigned: len(report.Unsigned),
			missed: report.Missing, bytes: report.Bytes, lost: report.Lost,
		}
		if report.View != nil {
			f.view = report.View.Error()
		}
		return f, nil
	}
	return finding{}, errors.ErrUnsupported
}
