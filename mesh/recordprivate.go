package mesh

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

const (
	// extPrivate is the extension that lists the broadcasts which are private, so that readers who do not know of such read
	// the rest.
	extPrivate = "private"
	// maxPrivate is how many it lists.
	maxPrivate = 256
)

// encodePrivate puts the ids of what is private into the extensions.
func (r Record) encodePrivate(ext map[string]cbor.RawMessage) error {
	if _, taken := ext[extPrivate]; taken {
		return fmt.Errorf("extension %q: it is made of what is marked", extPrivate)
	}
	ids := map[string]bool{}
	for _, b := range r.Broadcasts {
		if b.Private {
			ids[b.ID] = true
		}
	}
	for _, rec := range r.Recordings {
		if rec.Private {
			ids[rec.Broadcast] = true
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if len(ids) > maxPrivate {
		return fmt.Errorf("%d private broadcasts", len(ids))
	}
	raw, err := recordEnc.Marshal(slices.Sorted(maps.Keys(ids)))
	ext[extPrivate] = raw
	return err
}

// decodePrivate takes the ids of what is private out of the extensions, and marks what it names. Whether they stand there in
// their one form shows when the record is encoded again.
func (r *Record) decodePrivate(ext map[string]cbor.RawMessage) error {
	raw, ok := ext[extPrivate]
	if !ok {
		return nil
	}
	delete(ext, extPrivate)
	var ids []string
	if err := recordDec.Unmarshal(raw, &ids); err != nil {
		return fmt.Errorf("extension %q: %w", extPrivate, err)
	}
	if len(ids) == 0 || len(ids) > maxPrivate {
		return errors.New("extension \"private\" of another length")
	}
	private := map[string]bool{}
	for _, id := range ids {
		private[id] = true
	}
	for i := range r.Broadcasts {
		r.Broadcasts[i].Private = private[r.Broadcasts[i].ID]
	}
	for i := range r.Recordings {
		r.Recordings[i].Private = private[r.Recordings[i].Broadcast]
	}
	return nil
}
