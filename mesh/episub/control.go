package episub

// Version is the version of the wire format that this package speaks.
const Version = 1

// MaxControl is the largest encoded control frame in bytes.
const MaxControl = 512

// MaxAsks is how many chunks one Request or Absent section can name.
const MaxAsks = 8

// lanes is how many trees a track has at most: the stripes and the envelopes, which flow down a tree of their own.
const lanes = MaxStripes + 1

// Control is one control frame: what a peer tells a neighbour. It travels as the parts metadata of gossipsub's partial
// messages extension. Each section is present when its Has flag is set.
type Control struct {
	Epoch   uint64
	Has     Sections
	State   State
	Want    Want
	Leave   uint32 // lanes, as a mask: push them no more
	Grant   uint32 // lanes, as a mask: they will be pushed
	Refuse  Refuse
	Request Asks
	Absent  Asks // what was requested and will not come
}

// Sections is the set of sections in a frame.
type Sections uint8

// The sections, each at bit type-1 of its type byte on the wire.
const (
	HasState Sections = 1 << iota
	HasWant
	HasLeave
	HasGrant
	HasRefuse
	HasRequest
	HasAbsent
)

// State is an advert: what the sender has and what a lane through it would cost.
type State struct {
	Newest      uint64 // newest chunk it has the envelope of
	Age         uint16 // time since Newest was published, in ageUnit
	Complete    uint16 // bit i: chunk Newest-i is complete
	Independent uint8  // Newest-Independent is its newest complete independent chunk; 255: none
	Room        uint8  // how many more lanes its upload budget could carry, saturating
	Drain       uint8  // time in which its uplink sends all its children an average chunk, in waitUnit
	Takes       uint32 // lanes that the sender takes from the receiver, or has asked it for
	Fed         uint32 // lanes that are being pushed to the sender
	Lanes       [lanes]Lane
}

// Lane is the cost of one lane through the sender of a State.
type Lane struct {
	Age    uint16 // publish to here, in ageUnit
	Wait   uint8  // from here until a further child would have its fragment sent, in waitUnit
	Relay  uint8  // the same for a child that passes the lane on, and so is served before the others
	Weight uint8  // how many peers hang below the sender, saturating
}

// Want asks to be pushed lanes.
type Want struct {
	From  uint64 // first chunk wanted
	Room  uint8  // how many lanes the asker could carry itself, saturating
	N     int
	Lanes [lanes]WantLane
}

// WantLane is one lane of a Want.
type WantLane struct {
	Lane   uint8
	Weight uint8
	Limit  uint16 // only if a fragment would be sent by this age, in ageUnit; 0xffff: at any cost
}

// Refuse says that lanes will not be pushed, or be pushed no more.
type Refuse struct {
	Lanes   uint32 // mask
	Retry   uint16 // milliseconds before asking again makes sense
	Instead uint64 // short ID of a peer to ask instead, 0 for none
}

// Asks is a list of fragments by chunk.
type Asks struct {
	N    int
	List [MaxAsks]Ask
}

// Ask names fragments of one chunk.
type Ask struct {
	Seq      uint64
	Envelope bool
	Set      bitset
}

// Units of the wire.
const (
	ageUnit  = 100e3 // nanoseconds in a unit of age: 16 bits reach 6.5 s
	waitUnit = 2e6   // nanoseconds in a unit of wait: 8 bits reach 510 ms
)

func toAge(ns int64) uint16  { return uint16(min(max(ns/ageUnit, 0), 0xfffe)) }
func toWait(ns int64) uint8  { return uint8(min(max((ns+waitUnit/2)/waitUnit, 0), 255)) }
func toCount(n uint32) uint8 { return uint8(min(n, 255)) }
