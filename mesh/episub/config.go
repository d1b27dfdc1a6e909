package episub

import "time"

// Config is what a machine is told about itself. The zero value of each field means the default in its comment.
type Config struct {
	ID     uint64 // short ID of this peer, by which others name it in redirects
	Origin bool   // publishes the track
	Seed   uint64 // of the random source

	// Budget is the upload budget in bytes a second; default 1.25e6 (10 Mbit/s). Everything sent counts.
	Budget float64
	// Stripes is how many stripes the track has, the same for everybody; default and most 16.
	Stripes int
	// Neighbours is how many neighbours the machine takes; default 48, most MaxNeighbours.
	Neighbours int
	// Window is how many chunks it keeps track of; default 32.
	Window int
	// Overhead is what the transport adds to a message in bytes (topic, group, framing, header), packets aside, for the accounting; default 72.
	Overhead int

	Tick     time.Duration // between calls of Tick; default 50 ms
	Deadline time.Duration // a chunk older than this is neither sent nor requested; default 2 s
	Backfill time.Duration // how far back a joining peer requests, to start at an independent chunk; default 4 s
	Grace    time.Duration // how much later than usual a fragment may be before it is requested; default 150 ms
	Backlog  time.Duration // how much may wait for the uplink before fragments are shed; default 600 ms
	Busy     time.Duration // repairs are served while less than this waits for the uplink; default 100 ms
	Advert   time.Duration // between adverts of an unchanged state to a neighbour; default 2 s
	Dwell    time.Duration // least time between two changes of a lane's parent for a better one; default 1 s
	Margin   time.Duration // by how much a parent must be better to change to it; default 10 ms
	Use      float64       // share of the budget that children may take up; default 0.85
}

// withDefaults returns c with the zero fields set.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.Budget == 0 {
		c.Budget = 1.25e6
	}
	if c.Stripes == 0 {
		c.Stripes = MaxStripes
	}
	c.Stripes = min(c.Stripes, MaxStripes)
	if c.Neighbours == 0 {
		c.Neighbours = 48
	}
	c.Neighbours = min(c.Neighbours, MaxNeighbours)
	if c.Window == 0 {
		c.Window = 32
	}
	if c.Overhead == 0 {
		c.Overhead = 72
	}
	def(&c.Tick, 50*time.Millisecond)
	def(&c.Deadline, 2*time.Second)
	def(&c.Backfill, 4*time.Second)
	def(&c.Grace, 150*time.Millisecond)
	def(&c.Backlog, 600*time.Millisecond)
	def(&c.Busy, 100*time.Millisecond)
	def(&c.Advert, 2*time.Second)
	def(&c.Dwell, time.Second)
	def(&c.Margin, 10*time.Millisecond)
	if c.Use == 0 {
		c.Use = 0.85
	}
	return c
}
