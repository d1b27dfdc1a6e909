package episub

import "time"

// Peer is a neighbour's place in the machine's table, from Up until Down.
type Peer int16

// nobody is no neighbour.
const nobody Peer = -1

// Class orders what waits for the uplink. A lower class goes first.
type Class uint8

// The classes: control, then fragments for children that pass them on, then fragments for those that do not, then
// repairs. Envelopes travel as control: they are small and everything waits for them.
const (
	ClassControl Class = iota
	ClassRelay
	ClassData
	ClassRepair
	Classes
)

// Kind says what an Action asks for.
type Kind uint8

const (
	// SendControl asks for Data, an encoded control frame, to be sent to Peer.
	SendControl Kind = iota + 1
	// SendFragment asks for fragment Index of chunk ID (the envelope where Index is EnvelopeIndex) to be sent to Peer
	// with the header Age and Hops.
	SendFragment
	// Deliver says that the chunk ID is complete here.
	Deliver
	// Report says that Peer did What: food for the peer score.
	Report
	// Suggest names the peer ID Short as one worth connecting to: a full neighbour named it.
	Suggest
)

// What a neighbour did, as reported.
type What uint8

const (
	// Useful means that it delivered fragments that were new. Count says how many since the last report.
	Useful What = iota + 1
	// BadFragment means that a fragment did not match its hash. Disconnect.
	BadFragment
	// BadControl means that a control frame did not decode. Disconnect.
	BadControl
	// BadEnvelope means that an envelope was not signed by the channel or contradicts itself. Disconnect.
	BadEnvelope
	// NoDelivery means that it promised a stripe or a fragment and did not deliver.
	NoDelivery
	// Flood means that it sends more control frames or unasked fragments than any honest peer would.
	Flood
)

// Action is one thing that the machine wants done.
type Action struct {
	Kind  Kind
	Class Class
	What  What
	Peer  Peer
	Index int16
	Hops  uint8
	Count uint32
	ID    ID
	Short uint64
	Age   time.Duration // as of now: whoever sends adds how long the fragment waited for the uplink
	Data  []byte        // valid until the machine's next event
}
