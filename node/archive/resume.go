package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"murmuration/chunker/envelope"
)

// find lists what is in the folder, and loads what was not sealed.
func (s *Store) find() error {
	channels, err := os.ReadDir(s.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		channels, err = nil, nil
	}
	if err != nil {
		return err
	}
	for _, d := range channels {
		if strings.Contains(d.Name(), ".part") && !s.cfg.ReadOnly { // an import that did not end
			os.Remove(filepath.Join(s.cfg.Dir, d.Name())) //nolint:errcheck // next time, then
			continue
		}
		channel, ok := parseChannel(d.Name())
		if !ok || !d.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.cfg.Dir, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			name, ext := strings.TrimSuffix(f.Name(), filepath.Ext(f.Name())), filepath.Ext(f.Name())
			if ext == ".new" || ext == scratchExt { // a crash left it
				if !s.cfg.ReadOnly {
					os.Remove(filepath.Join(s.cfg.Dir, d.Name(), f.Name())) //nolint:errcheck // next time, then
				}
				continue
			}
			k := Key{channel, name}
			if (ext != ".car" && ext != ".json") || envelope.CheckName(name) != nil || s.recs[k] != nil {
				continue
			}
			s.recs[k] = s.resume(k)
		}
	}
	s.snapshot()
	return nil
}

// resume takes up a recording that is in the folder.
func (s *Store) resume(k Key) *Recording {
	r := s.recording(k)
	st, err := readState(r.base + ".json")
	if err != nil {
		r.log.Warn("recording without its state: what the blocks tell is taken", "err", err)
		st = state{Version: stateVersion, State: Live}
		if info, err := os.Stat(r.base + ".car"); err == nil {
			st.Size = info.Size()
		}
	}
	r.st = st
	if info, err := os.Stat(r.base + ".car"); st.Sealed && err == nil && info.Size() == st.Size {
		return r // opened when it is needed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.Sealed = false
	if err := r.load(); err != nil {
		r.log.Error("recording not resumed", "err", err)
		return r
	}
	if r.st.State == Live && r.st.Root != "" {
		r.st.State = Finished // the small file was lost
	}
	if !s.cfg.ReadOnly {
		if err := r.save(); err != nil {
			r.log.Warn("state not saved", "err", err)
		}
	}
	return r
}

func (s *Store) recording(k Key) *Recording {
	return &Recording{
		s: s, key: k, base: s.base(k), bad: map[digest]struct{}{},
		log: s.log.With("channel", channelName(k.Channel), "broadcast", k.Broadcast),
	}
}
