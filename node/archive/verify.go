package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// Report is what Verify found.
type Report struct {
	Blocks   int       // looked at
	Bytes    int64     // of them
	Damaged  []cid.Cid // blocks whose hash differs; they count as missing now
	Lost     int64     // bytes of the file that are in no section
	Unsigned []cid.Cid // envelopes whose signature is not the channel's; they count as missing, too
	Missing  int       // chunks known to be missing, the damaged ones among them
	View     error     // why the view is not whole, if it is not
}

// OK reports whether nothing is wrong. Gaps are no damage, nor are bytes that lie between the blocks.
func (r Report) OK() bool {
	return len(r.Damaged) == 0 && len(r.Unsigned) == 0 && r.View == nil
}

// Verify reads all of the recording and checks all hashes, all signatures and the view. Damaged blocks, and those of a
// view that are not there, count as missing from then on. An index that does not agree with the blocks is written anew. Progress is in bytes.
func (r *Recording) Verify(ctx context.Context, progress func(done, total int64)) (Report, error) {
	r.work.Lock()
	defer r.work.Unlock()
	var rep Report
	if err := r.reload(); err != nil {
		return rep, fmt.Errorf("verify: %w", err)
	}
	if err := r.verifySections(ctx, &rep, progress); err != nil {
		return rep, fmt.Errorf("verify: %w", err)
	}
	if r.root().Defined() {
		rep.View = r.verifyView(ctx)
		if ctx.Err() != nil {
			return rep, ctx.Err()
		}
	}
	if !r.s.cfg.ReadOnly {
		if err := r.change(func(st *state) { st.Verified = time.Now().UTC() }); err != nil {
			r.log.Warn("state not saved", "err", err)
		}
	}
	rep.Missing = r.Info().Missing
	return rep, nil
}

// reload reads the file's sections anew.
func (r *Recording) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return ErrClosed
	}
	if err := r.openFile(); err != nil {
		return err
	}
	clear(r.bad)
	return r.load()
}

// verifySections checks every section that the table knows, in the order in which they lie in the file.
func (r *Recording) verifySections(ctx context.Context, rep *Report, progress func(done, total int64)) error {
	buf := make([]byte, maxBlockSize)
	reindex := false
	for n := uint32(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.mu.RLock()
		if r.gone || r.t == nil {
			r.mu.RUnlock()
			return ErrClosed
		}
		if int(n) >= r.t.count {
			r.mu.RUnlock()
			break
		}
		p, total := r.t.at(n), r.end
		rep.Lost = r.junk
		if !r.loaded() {
			r.mu.RUnlock()
			return errScratch
		}
		s, err := readSection(r.f, p.off(), r.end)
		right := false
		if err == nil {
			right, err = s.readBlock(r.f, buf)
		}
		if err == nil && r.sealed != nil && right {
			off, ok, _ := r.sealed.find(s.digest)
			reindex = reindex || !ok || off != p.off()
		}
		r.mu.RUnlock()
		if err != nil && !errors.Is(err, errFrame) {
			return err
		}
		rep.Blocks++
		rep.Bytes += int64(s.size)
		switch {
		case !right:
			rep.Damaged = append(rep.Damaged, asCID(s.digest, max(s.codec, codecRaw)))
			r.damage(s.digest)
		case s.codec == codecCBOR:
			if e, err := envelope.Decode(buf[:s.size]); err != nil || e.Channel != r.key.Channel || e.Verify() != nil {
				rep.Unsigned = append(rep.Unsigned, asCID(s.digest, codecCBOR))
				r.damage(s.digest)
			}
		}
		if progress != nil {
			progress(p.off(), total)
		}
	}
	if reindex && !r.s.cfg.ReadOnly {
		r.log.Warn("the index does not agree with the blocks: written anew")
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := r.unseal(); err != nil {
			return err
		}
		return r.seal()
	}
	return nil
}

// verifyView checks that every block that the view refers to is here. What is not, though the root was once whole, counts
// as damaged: even the name that it has in the file may be.
func (r *Recording) verifyView(ctx context.Context) error {
	view, err := r.View(ctx)
	if err != nil {
		if ctx.Err() == nil && r.Info().Damaged == 0 {
			d, _, _ := asDigest(r.root())
			r.damage(d)
		}
		return err
	}
	var lost error
	for _, l := range view.Blocks() {
		d, _, _ := asDigest(l.Cid)
		if _, _, err := r.block(d, false); err != nil {
			r.damage(d)
			lost = notFound{l.Cid}
		}
	}
	if lost != nil {
		return lost
	}
	if view.Info.Signature != nil {
		return view.Info.Verify(r.key.Channel)
	}
	return nil
}
