package exchange

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
)

const (
	// nameTTL is how long others may keep an answer: short, because a channel's record changes with every talk.
	nameTTL = time.Minute
	// nameEvery is how often a record is put again: the peers that hold it come and go.
	nameEvery = 4 * time.Hour
	nameRetry = 5 * time.Minute
	// nameTimeout bounds one look-up or one putting.
	nameTimeout = time.Minute
	// nameCopies is how many equal answers of the DHT are enough.
	nameCopies = 4
)

// posting is a record that is put again until it expires or a newer one takes its place. It holds no key.
type posting struct {
	record []byte
	until  time.Time
	next   time.Time
}

// PublishName points the IPNS name of key at value, a path such as /ipfs/CID, for validity (default 48 h), and keeps the
// record alive in the DHT for that time as long as the exchange is open. Records of one key are ordered by the wall
// clock, in milliseconds: so an origin that lost its state, or a second one, needs not ask for the last number.
func (x *Exchange) PublishName(ctx context.Context, key ed25519.PrivateKey, value string, validity time.Duration) error {
	if x.dht == nil {
		return ErrNoRouting
	}
	if validity <= 0 {
		validity = 48 * time.Hour
	}
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("%w: not an Ed25519 key", ErrName)
	}
	target, err := path.NewPath(value)
	if err != nil {
		return fmt.Errorf("%w: value: %w", ErrName, err)
	}
	sk, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return fmt.Errorf("%w: key: %w", ErrName, err)
	}
	id, err := peer.IDFromPrivateKey(sk)
	if err != nil {
		return fmt.Errorf("%w: key: %w", ErrName, err)
	}
	now := time.Now()
	rec, err := ipns.NewRecord(sk, target, uint64(now.UnixMilli()), now.Add(validity), nameTTL)
	if err != nil {
		return fmt.Errorf("exchange: name: %w", err)
	}
	data, err := ipns.MarshalRecord(rec)
	if err != nil {
		return fmt.Errorf("exchange: name: %w", err)
	}
	routingKey := string(ipns.NameFromPeer(id).RoutingKey())
	err = x.putName(ctx, routingKey, data)
	next := now.Add(nameEvery)
	if err != nil {
		next = now.Add(nameRetry)
	}
	x.mu.Lock()
	x.names[routingKey] = &posting{record: data, until: now.Add(validity), next: next}
	x.mu.Unlock()
	return err
}

func (x *Exchange) putName(ctx context.Context, routingKey string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	if err := x.dht.PutValue(ctx, routingKey, data); err != nil {
		return fmt.Errorf("exchange: put name: %w", err)
	}
	return nil
}

// putNames puts the records again whose time has come.
func (x *Exchange) putNames(now time.Time) {
	due := map[string][]byte{}
	x.mu.Lock()
	for key, p := range x.names {
		switch {
		case !now.Before(p.until):
			delete(x.names, key)
		case !now.Before(p.next):
			due[key] = p.record
			p.next = now.Add(nameEvery)
		}
	}
	x.mu.Unlock()
	for key, data := range due {
		if err := x.putName(x.ctx, key, data); err != nil {
			x.cfg.Log.Debug("name not put again", "err", err)
			x.mu.Lock()
			if p := x.names[key]; p != nil {
				p.next = now.Add(nameRetry)
			}
			x.mu.Unlock()
		}
	}
}

// ResolveName returns the path that the IPNS name of channel points at, such as /ipfs/CID: the newest valid record that
// the DHT gives before ctx ends, or within a minute.
func (x *Exchange) ResolveName(ctx context.Context, channel peer.ID) (string, error) {
	if x.dht == nil {
		return "", ErrNoRouting
	}
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	name := ipns.NameFromPeer(channel)
	answers, err := x.dht.SearchValue(ctx, string(name.RoutingKey()), dht.Quorum(nameCopies))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	var best []byte
	for data := range answers { // each better than the one before
		best = data
	}
	if best == nil {
		return "", fmt.Errorf("%w: %w", ErrName, errors.Join(routing.ErrNotFound, ctx.Err()))
	}
	return readName(name, best)
}

// readName checks a record that came from the network and returns where it points.
func readName(name ipns.Name, data []byte) (string, error) {
	rec, err := ipns.UnmarshalRecord(data) // refuses what is over 10 KiB
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	if err := ipns.ValidateWithName(rec, name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	value, err := rec.Value()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	return value.String(), nil
}
