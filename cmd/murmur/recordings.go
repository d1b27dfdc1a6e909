package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"murmuration/mesh"
	"murmuration/node"
	"murmuration/node/archive"
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
Looking, exporting and verifying work while an origin or a seed is running on the same folder; what changes the folder
does not: stop it first, or let it do the work over its API (/api/v1/recordings).

Examples:
  murmur recordings ls
  murmur recordings export 0mws4q talk.mp4                       the whole, nothing re-encoded
  murmur recordings export 0mws4q intro.mp4 --from 1m --to 3m30s
  murmur recordings export 0mws4q talk.car                       for: ipfs dag import talk.car
  murmur recordings verify`
}

// open opens the store, to look only or to change it.
func (c recordingsCmd) open(e *env, change bool) (*archive.Store, error) {
	dir := c.Recordings
	if dir == "" {
		var err error
		if dir, err = node.DefaultRecordings(c.Dir); err != nil {
			return nil, err
		}
	}
	s, err := archive.Open(archive.Config{Dir: dir, ReadOnly: !change, Log: e.log})
	if errors.Is(err, archive.ErrLocked) {
		return nil, fmt.Errorf("%w: stop it, or let it do this over its API", err)
	}
	return s, err
}

// find returns the recording that a name means.
func find(s *archive.Store, name string) (*archive.Recording, error) {
	var found []archive.Info
	for _, info := range s.List() {
		id := info.Key.Broadcast
		if id == name || info.Root.Defined() && info.Root.String() == name || info.Key.String() == name {
			found = []archive.Info{info}
			break
		}
		if len(name) >= 4 && strings.HasPrefix(id, name) {
			found = append(found, info)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %s (murmur recordings ls lists them)", archive.ErrNotFound, name)
	case 1:
	default:
		return nil, usageError{fmt.Errorf("%s is the beginning of %d recordings: give more of it", name, len(found))}
	}
	r, ok := s.Lookup(found[0].Key)
	if !ok {
		return nil, fmt.Errorf("%w: %s", archive.ErrNotFound, name)
	}
	return r, nil
}

// recordingJSON is a recording as --json prints it.
type recordingJSON struct {
	Broadcast string              `json:"broadcast"`
	Channel   string              `json:"channel"`
	Title     string              `json:"title"`
	State     archive.State       `json:"state"`
	Started   time.Time           `json:"started"`
	Ended     *time.Time          `json:"ended"`
	DurationS float64             `json:"duration_s"`
	Bytes     int64               `json:"bytes"`
	Media     int64               `json:"media_bytes"`
	Root      string              `json:"root,omitempty"`
	Pinned    bool                `json:"pinned"`
	Own       bool                `json:"own"`
	Missing   int                 `json:"missing_chunks"`
	Tracks    []archive.TrackInfo `json:"tracks"`
}

func recordingOf(i archive.Info) recordingJSON {
	r := recordingJSON{
		Broadcast: i.Key.Broadcast, Channel: mesh.ChannelName(i.Key.Channel), Title: i.Title, State: i.State, Started: i.Started,
		DurationS: i.Duration.Seconds(), Bytes: i.Size, Media: i.Media, Pinned: i.Pinned, Own: i.Own, Missing: i.Missing, Tracks: i.Tracks,
	}
	if i.Root.Defined() {
		r.Root = i.Root.String()
	}
	if !i.Ended.IsZero() {
		r.Ended = &i.Ended
	}
	return r
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
	s, err := parent.open(e, false)
	if err != nil {
		return err
	}
	defer s.Close()
	list := s.List()
	if parent.JSON {
		all := []recordingJSON{}
		for _, i := range list {
			all = append(all, recordingOf(i))
		}
		return printIndented(e, all)
	}
	if len(list) == 0 {
		e.say("There are no recordings yet: an origin and a seed keep what they carry.")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BROADCAST\tSTARTED\tLENGTH\tSIZE\tSTATE\tTITLE")
	for _, i := range list {
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%s\t%s\n", i.Key.Broadcast, i.Started.Local().Format("2006-01-02 15:04"),
			i.Duration.Round(time.Second), byteSize(i.Size), stateText(i), i.Title)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	u := s.Usage()
	e.say("%d recordings, %v; %v free", u.Recordings, byteSize(u.Bytes), byteSize(u.Free))
	return nil
}

// stateText says in a few words how far a recording is.
func stateText(i archive.Info) string {
	text := string(i.State)
	if i.Missing > 0 {
		text += fmt.Sprintf(", %d chunks missing", i.Missing)
	}
	if i.Pinned {
		text += ", pinned"
	}
	return text
}

type recordingsInfoCmd struct {
	Name string `arg:"" help:"Which: id, its beginning, or root CID."`
}

// Run is called by kong.
func (c recordingsInfoCmd) Run(e *env, parent *recordingsCmd) error {
	s, err := parent.open(e, false)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := find(s, c.Name)
	if err != nil {
		return err
	}
	i := r.Info()
	if parent.JSON {
		return printIndented(e, recordingOf(i))
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("broadcast", "%s", i.Key.Broadcast)
	line("title", "%s", i.Title)
	line("channel", "%s", mesh.ChannelName(i.Key.Channel))
	line("state", "%s", stateText(i))
	line("started", "%s", i.Started.Local().Format(time.DateTime))
	if !i.Ended.IsZero() {
		line("ended", "%s", i.Ended.Local().Format(time.DateTime))
	}
	line("length", "%v", i.Duration.Round(time.Second))
	line("size", "%v on disk, %v of media", byteSize(i.Size), byteSize(i.Media))
	for _, t := range i.Tracks {
		line("track", "%s: %d chunks, %v, %d missing", t.Name, t.Chunks, t.Duration.Round(time.Second), t.Missing)
	}
	if i.Root.Defined() {
		line("root", "%s", i.Root)
		line("replay", "murmur replay %s", i.Root)
		line("pin", "ipfs pin add %s", i.Root)
	}
	return w.Flush()
}

type recordingsExportCmd struct {
	Name string        `arg:"" help:"Which: id, its beginning, or root CID."`
	File string        `arg:"" help:"Where to: a name that ends in .mp4 or .car, or - for MP4 on standard output."`
	From time.Duration `help:"Begin so far into it (MP4): 1m30s. It begins with the keyframe before."`
	To   time.Duration `help:"End there (MP4; default: the end)."`
}

// Run is called by kong.
func (c recordingsExportCmd) Run(e *env, parent *recordingsCmd) error {
	car := strings.EqualFold(filepath.Ext(c.File), ".car")
	switch {
	case !car && c.File != "-" && !strings.EqualFold(filepath.Ext(c.File), ".mp4"):
		return usageError{fmt.Errorf("%s ends neither in .mp4 nor in .car", c.File)}
	case car && (c.From != 0 || c.To != 0):
		return usageError{errors.New("a CAR holds the whole recording: --from and --to are for .mp4")}
	case c.From < 0 || c.To < 0 || c.To != 0 && c.To <= c.From:
		return usageError{errors.New("--to must be after --from")}
	}
	s, err := parent.open(e, false)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := find(s, c.Name)
	if err != nil {
		return err
	}
	m := newMeter(e.stderr)
	err = whole(e, c.File, func(w io.Writer) error {
		if car {
			return r.ExportCAR(e.ctx, w, m.bar("exporting"))
		}
		return r.ExportMP4(e.ctx, w, c.From, c.To, m.bar("exporting"))
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
	s, err := parent.open(e, true)
	if err != nil {
		return err
	}
	defer s.Close()
	m := newMeter(e.stderr)
	show := m.bar("importing")
	info, err := s.ImportCAR(e.ctx, in, func(done int64) { show(done, total) })
	m.clear()
	if err != nil {
		return err
	}
	if c.Pin {
		if err := s.Pin(info.Key, true); err != nil {
			return err
		}
	}
	e.say("imported  %q, %v, %v", info.Title, info.Duration.Round(time.Second), byteSize(info.Size))
	_, err = fmt.Fprintln(e.stdout, info.Root)
	return err
}

type recordingsRmCmd struct {
	Names []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
	Force bool     `short:"f" help:"Delete pinned ones, too."`
}

// Run is called by kong.
func (c recordingsRmCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.each(e, c.Names, func(s *archive.Store, r *archive.Recording) error {
		i := r.Info()
		if i.Pinned && !c.Force {
			return fmt.Errorf("%s is pinned: murmur recordings unpin it first, or --force", i.Key.Broadcast)
		}
		if err := s.Remove(i.Key); err != nil {
			return err
		}
		e.say("deleted   %s %q, %v", i.Key.Broadcast, i.Title, byteSize(i.Size))
		return nil
	})
}

type recordingsPinCmd struct {
	Names []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
}

// Run is called by kong.
func (c recordingsPinCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.each(e, c.Names, func(s *archive.Store, r *archive.Recording) error { return s.Pin(r.Key(), true) })
}

type recordingsUnpinCmd struct {
	Names []string `arg:"" name:"name" help:"Which: ids, their beginnings, or root CIDs."`
}

// Run is called by kong.
func (c recordingsUnpinCmd) Run(e *env, parent *recordingsCmd) error {
	return parent.each(e, c.Names, func(s *archive.Store, r *archive.Recording) error { return s.Pin(r.Key(), false) })
}

// each changes the recordings that the names mean. All names are looked up before the first change.
func (c recordingsCmd) each(e *env, names []string, do func(*archive.Store, *archive.Recording) error) error {
	s, err := c.open(e, true)
	if err != nil {
		return err
	}
	defer s.Close()
	var all []*archive.Recording
	for _, name := range names {
		r, err := find(s, name)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	for _, r := range all {
		if err := do(s, r); err != nil {
			return err
		}
	}
	return nil
}

type recordingsVerifyCmd struct {
	Names []string `arg:"" optional:"" name:"name" help:"Which (default: all)."`
}

// Run is called by kong.
func (c recordingsVerifyCmd) Run(e *env, parent *recordingsCmd) error {
	s, err := parent.open(e, false)
	if err != nil {
		return err
	}
	defer s.Close()
	var all []*archive.Recording
	for _, name := range c.Names {
		r, err := find(s, name)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	if len(c.Names) == 0 {
		for _, i := range s.List() {
			if r, ok := s.Lookup(i.Key); ok {
				all = append(all, r)
			}
		}
	}
	bad := 0
	for _, r := range all {
		ok, err := verify(e.ctx, e, r)
		if err != nil {
			return err
		}
		if !ok {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d recordings are damaged: a seed of the channel mends what it keeps, from others", bad, len(all))
	}
	return nil
}

func verify(ctx context.Context, e *env, r *archive.Recording) (bool, error) {
	m := newMeter(e.stderr)
	report, err := r.Verify(ctx, m.bar(r.Key().Broadcast))
	m.clear()
	if err != nil {
		return false, err
	}
	text := "ok"
	if !report.OK() {
		text = fmt.Sprintf("DAMAGED: %d blocks, %d without a valid signature, %v unreadable", len(report.Damaged), len(report.Unsigned), byteSize(report.Lost))
		if report.View != nil {
			text += ", " + report.View.Error()
		}
	}
	if report.Missing > 0 {
		text += fmt.Sprintf("; %d chunks missing", report.Missing)
	}
	_, err = fmt.Fprintf(e.stdout, "%s  %d blocks, %v: %s\n", r.Key().Broadcast, report.Blocks, byteSize(report.Bytes), text)
	return report.OK(), err
}
