package node

import (
	"errors"
	"fmt"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/archive/unixfs"
)

// errKeyGone says that a private broadcast cannot be gone on with.
var errKeyGone = errors.New("its key is not in " + keyringFile + " any more")

// secretOf returns the secret of a private broadcast: the one that it has, where it is one of an earlier run, else a fresh one
// that is on the disk when this returns. Nil for a public one.
func (o *Origin) secretOf(n newcomer) (*seal.Secret, error) {
	if !n.private {
		return nil, nil //nolint:nilnil // there is none
	}
	b := archive.Key{Channel: mesh.ChannelOf(o.cfg.ChannelKey), Broadcast: n.id}
	if n.resumed {
		s, ok := o.secrets.secret(b)
		if !ok {
			return nil, errKeyGone
		}
		return &s, nil
	}
	s, err := seal.NewSecret(nil)
	if err != nil {
		return nil, err
	}
	return &s, o.secrets.keep(b, s)
}

// endUnsaved ends the private broadcasts of the last run whose new epoch cannot be written down: after another crash it might
// begin a second time, and two chunks would be sealed with the same piece of keystream, which gives both away.
func (o *Origin) endUnsaved() {
	o.announcing.Lock()
	err := o.save()
	o.announcing.Unlock()
	if err == nil {
		return
	}
	for _, b := range o.all() {
		if b.secret == nil || !b.isLive() {
			continue
		}
		o.log.Warn("a private broadcast of the last run is not gone on with", "broadcast", b.id, "err", err)
		if err := o.end(b); err != nil {
			o.log.Warn("ending a broadcast of the last run", "broadcast", b.id, "err", err)
		}
	}
}

// sealer returns what makes a track of the broadcast private; nil where it is public.
func (b *broadcast) sealer(track string) chunker.Sealer {
	if b.secret == nil {
		return nil
	}
	return seal.New(*b.secret, mesh.ChannelOf(b.key), b.id, track)
}

// mayGo reports whether a chunk may leave the origin: of a private broadcast, what is sealed. That another comes is a mistake
// in this program, a cutter without a sealer; nobody gets to see it.
func (b *broadcast) mayGo(c envelope.Chunk) bool {
	if b.secret == nil || c.Key.Sealed() {
		return true
	}
	if b.full == nil {
		b.full = fmt.Errorf("chunk %v of track %s is not sealed", c.ID(), c.Track)
		b.log.Error("a private broadcast's chunk is held back", "broadcast", b.id, "err", b.full)
	}
	return false
}

// withKey puts what opens a private broadcast into its link, for those with the token.
func (o *Origin) withKey(j *broadcastJSON, b *broadcast) {
	if b.secret == nil {
		return
	}
	link := o.shareLink()
	link.Broadcast, link.Key = b.id, b.secret[:]
	j.Link = link.WithKey()
}

// takeKey takes the key of a link, which opens its broadcast for this run; once it has proved right, for later ones too.
func (p *participant) takeKey(link mesh.Link) error {
	if len(link.Key) == 0 {
		return nil
	}
	return p.secrets.hold(archive.Key{Channel: link.Channel, Broadcast: link.Broadcast}, link.Key)
}

// canOpen reports whether a broadcast can be shown here: it is public, or its key is here.
func (p *participant) canOpen(channel envelope.Channel, b mesh.BroadcastInfo) bool {
	_, ok := p.secrets.secret(archive.Key{Channel: channel, Broadcast: b.ID})
	return ok || !b.Private
}

// describe says in the channel record what a track holds, from its first chunk's init segment.
func (s *showing) describe(c envelope.Chunk) mesh.TrackInfo {
	if clear, err := s.opener.chunk(c); err == nil {
		return describe(clear)
	}
	return mesh.TrackInfo{Name: c.Track}
}

// clear returns a chunk as the local face may show it, or why it may not, which is said once; errEarly where it may later.
func (s *showing) clear(c envelope.Chunk) (envelope.Chunk, error) {
	clear, err := s.opener.chunk(c)
	if err == nil {
		s.unlock()
		return clear, nil
	}
	s.lock(err)
	return clear, err
}

// lock has the local face tell why it shows nothing, and the human: where the key lacks or is another's. That a chunk cannot be
// opened for another reason, say because it came before its init segment, is none of the visitors' business.
func (s *showing) lock(why error) {
	for _, known := range []error{errNoKey, errWrongKey} {
		if !errors.Is(why, known) || s.opener.isProved() {
			continue
		}
		if s.face.Lock(known.Error()) {
			s.host.cfg.Tell(fmt.Sprintf("%q (%s) is %v", s.info.Title, s.info.ID, known))
		}
		return
	}
	s.host.log.Debug("a chunk is not shown", "broadcast", s.info.ID, "err", why)
}

func (s *showing) unlock() {
	if s.opener.private() {
		s.face.Unlock()
	}
}

// OpenRecording returns what opens the tracks of a private recording: the key in a link to its broadcast, or, where the link
// is empty, the one in the keyring in dir. Nil for a public recording.
func OpenRecording(dir, link string, i archive.Info) (func(track string) unixfs.Opener, error) {
	if i.KeyScheme == 0 {
		return nil, nil //nolint:nilnil // nothing has to be opened
	}
	if i.KeyScheme != seal.Scheme {
		return nil, fmt.Errorf("%w: recording %s is sealed in a way that this version does not know", ErrPrivate, i.Key.Broadcast)
	}
	var keys *keyring
	var err error
	if link == "" {
		keys, err = openKeyring(dir)
	} else {
		keys, err = keyOf(link, i.Key)
	}
	if err != nil {
		return nil, err
	}
	s, ok := keys.secret(i.Key)
	if !ok {
		return nil, fmt.Errorf("%w: recording %s is %w (give it with --link)", ErrPrivate, i.Key.Broadcast, errNoKey)
	}
	return func(track string) unixfs.Opener { return seal.New(s, i.Key.Channel, i.Key.Broadcast, track) }, nil
}

// keyOf returns a keyring with the key that a link to a broadcast has.
func keyOf(text string, b archive.Key) (*keyring, error) {
	link, err := parseLink(text)
	if err != nil {
		return nil, err
	}
	if link.Channel != b.Channel || link.Broadcast != b.Broadcast || len(link.Key) == 0 {
		return nil, fmt.Errorf("%w: it is not one to the broadcast %s with its key k=", ErrLink, b.Broadcast)
	}
	keys := &keyring{held: map[archive.Key]seal.Secret{}}
	return keys, keys.hold(b, link.Key)
}

// passedOver returns the private broadcasts that are on and cannot be shown.
func (p *participant) passedOver() []mesh.BroadcastInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.apart
}
