package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// errLocked says that what is here of a private broadcast cannot be opened. Nobody is shown it then.
var errLocked = errors.New("private")

// errEarly says that a chunk came before any init segment, which alone tells whether the secret is right.
var errEarly = fmt.Errorf("%w: it came before an init segment", errLocked)

// Why a private broadcast is not shown, as the page and its visitors are told.
var (
	errNoKey    = fmt.Errorf("%w: it needs the link with its key", errLocked)
	errWrongKey = fmt.Errorf("%w: the key in the link is not this broadcast's (was the link copied whole?)", errLocked)
)

// opener stands between what is carried and kept, which is blind, and what is shown here: it opens the chunks of one
// broadcast where they are sealed and its secret is here. What it cannot open it does not let pass.
type opener struct {
	broadcast archive.Key
	secret    *seal.Secret                                 // nil: it is not here
	inits     func(track string, c cid.Cid) ([]byte, bool) // init segments at hand, sealed; may be nil
	opens     func()                                       // told once, when the secret has proved to be the right one; may be nil

	mu     sync.Mutex
	sealed bool // the broadcast is private
	proved bool // an init segment was opened
	tracks map[string]*seal.Track
}

// opener returns the opener of a broadcast.
func (p *participant) opener(b archive.Key, private bool) *opener {
	o := &opener{broadcast: b, sealed: private, tracks: map[string]*seal.Track{}}
	if s, ok := p.secrets.secret(b); ok {
		o.secret, o.sealed = &s, true
		o.opens = func() {
			if err := p.secrets.keep(b, s); err != nil {
				p.log.Warn("its recording will need the link again", "broadcast", b.Broadcast, "err", err)
			}
		}
	}
	return o
}

// why returns why the broadcast cannot be shown, as far as is known before anything of it came; nil where it can.
func (o *opener) why() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed && o.secret == nil {
		return errNoKey
	}
	return nil
}

// private reports whether the broadcast is known to be private.
func (o *opener) private() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sealed
}

// keysOf returns the keys of a track.
func (o *opener) keysOf(track string) (*seal.Track, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.secret == nil {
		return nil, errNoKey
	}
	t := o.tracks[track]
	if t == nil {
		t = seal.New(*o.secret, o.broadcast.Channel, o.broadcast.Broadcast, track)
		o.tracks[track] = t
	}
	return t, nil
}

// chunk returns a chunk with its media, open. Its envelope stays what it is: the names in it are those of the ciphertext.
// A chunk alone does not tell whether the secret is right, so an init segment has to have been opened before.
func (o *opener) chunk(c envelope.Chunk) (envelope.Chunk, error) {
	if !c.Key.Sealed() {
		if o.private() {
			return envelope.Chunk{}, fmt.Errorf("%w: chunk %v is not sealed, though others are", errLocked, c.ID())
		}
		return c, nil
	}
	o.mu.Lock()
	o.sealed = true
	o.mu.Unlock()
	keys, err := o.keysOf(c.Track)
	if err != nil {
		return envelope.Chunk{}, err
	}
	if len(c.Init) > 0 {
		if c.Init, err = o.init(c.Track, c.Init); err != nil {
			return envelope.Chunk{}, err
		}
	} else if !o.isProved() && !o.prove(c) {
		return envelope.Chunk{}, fmt.Errorf("chunk %v: %w", c.ID(), errEarly)
	}
	if c.Block, err = keys.OpenBlock(c.Key, c.Epoch, c.Seq, c.Block); err != nil {
		return envelope.Chunk{}, fmt.Errorf("%w: chunk %v: %w", errLocked, c.ID(), err)
	}
	return c, nil
}

func (o *opener) isProved() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.proved
}

// prove tries the secret on the init segment of a chunk, where that is at hand.
func (o *opener) prove(c envelope.Chunk) bool {
	if o.inits == nil {
		return false
	}
	b, ok := o.inits(c.Track, c.Envelope.Init)
	if !ok {
		return false
	}
	_, err := o.init(c.Track, b)
	return err == nil
}

// init returns an init segment, open.
func (o *opener) init(track string, b []byte) ([]byte, error) {
	if !o.private() {
		return b, nil
	}
	keys, err := o.keysOf(track)
	if err != nil {
		return nil, err
	}
	b, err = keys.OpenInit(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWrongKey, err)
	}
	o.mu.Lock()
	first := !o.proved
	o.proved = true
	o.mu.Unlock()
	if first && o.opens != nil {
		o.opens()
	}
	return b, nil
}

// opened is the past of a track as the local face may show it.
type opened struct {
	shim.History
	blocks shim.Blocks
	track  string
	opener *opener
}

// Chunks implements shim.History.
func (p opened) Chunks(ctx context.Context, from, to playlist.ID) ([]envelope.Chunk, error) {
	sealed, err := p.History.Chunks(ctx, from, to)
	if err != nil {
		return nil, err
	}
	chunks := make([]envelope.Chunk, len(sealed))
	for i, c := range sealed {
		if chunks[i], err = p.opener.chunk(c); err != nil {
			return nil, err
		}
	}
	return chunks, nil
}

// Init implements shim.History.
func (p opened) Init(ctx context.Context, name string) ([]byte, error) {
	b, err := p.History.Init(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.opener.init(p.track, b)
}

// Chunk implements shim.Blocks.
func (p opened) Chunk(id envelope.ID) (envelope.Chunk, bool) {
	c, ok := p.blocks.Chunk(id)
	if !ok {
		return c, false
	}
	c, err := p.opener.chunk(c)
	return c, err == nil
}
