package sim

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

//go:embed scenarios/*.yaml
var builtin embed.FS

// ErrScenario is wrapped by what is wrong with a scenario.
var ErrScenario = errors.New("scenario")

// Rate is a number of bits a second, written as 20M or 500k.
type Rate float64

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *Rate) UnmarshalYAML(node *yaml.Node) error {
	text, unit := node.Value, 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if cut, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = cut, u
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v*unit <= 1e12) {
		return fmt.Errorf("%q is not a rate such as 20M", node.Value)
	}
	*r = Rate(v * unit)
	return nil
}

// Scenario is one simulated broadcast. Load fills in the defaults that the comments give.
type Scenario struct {
	Name  string `yaml:"name"`
	About string `yaml:"about"`

	Peers    int           `yaml:"peers"`    // viewers, the origin not counted
	Duration time.Duration `yaml:"duration"` // measured, after the warm-up; default 60s
	Warmup   time.Duration `yaml:"warmup"`   // default 15s
	Settle   time.Duration `yaml:"settle"`   // a peer counts once it has been there so long; default 3s
	Late     time.Duration `yaml:"late"`     // a chunk later than this is lost; default 2s

	Track   Track   `yaml:"track"`
	Place   Place   `yaml:"place"`
	Links   Links   `yaml:"links"`
	Mesh    Mesh    `yaml:"mesh"`
	Origin  Class   `yaml:"origin"`
	Classes []Class `yaml:"classes"` // shares are relative to their sum

	Join   Join    `yaml:"join"`
	Churn  Churn   `yaml:"churn"`
	Faults []Fault `yaml:"faults"`

	// Target holds what is to be reached, to print beside what was.
	Target Target `yaml:"target"`
}

// Track is the media.
type Track struct {
	Bitrate  Rate          `yaml:"bitrate"`  // default 3M
	Chunk    time.Duration `yaml:"chunk"`    // default 250ms
	Group    int           `yaml:"group"`    // chunks from one independent chunk to the next; default 8
	Keyframe float64       `yaml:"keyframe"` // size of an independent chunk over the average; default 3
	Vary     float64       `yaml:"vary"`     // log-normal sigma of the other chunks' sizes; default 0.15
}

// Place says where peers are.
type Place struct {
	// Plane puts them at random on a plane whose sides are one-way delays. Without it they are in cities.
	Plane *Plane `yaml:"plane"`
	// Matrix is a file of round trips between cities; without it the built-in cities are used.
	Matrix string `yaml:"matrix"`
}

// Plane is a rectangle of delays.
type Plane struct {
	Width  time.Duration `yaml:"width"`
	Height time.Duration `yaml:"height"`
	Base   time.Duration `yaml:"base"` // added to the distance
}

// Links says what a connection is like apart from delay and rates.
type Links struct {
	// Pacing models quic-go: a connection bursts Burst bytes and paces the rest at 1.25 windows a round trip.
	Pacing  *bool         `yaml:"pacing"`  // default true
	Burst   int           `yaml:"burst"`   // bytes; default 14520, 10 packets
	Window  int           `yaml:"window"`  // bytes; default 40960, 32 of the packets before path MTU discovery
	Reno    bool          `yaml:"reno"`    // of the model: a loss cuts the window as quic-go does, in place of one that never changes
	Connect time.Duration `yaml:"connect"` // discovery before the first handshake of a peer; default 100ms
	Detect  time.Duration `yaml:"detect"`  // until a neighbour that vanished is noticed; default 3s
}

// Mesh says whom a peer knows.
type Mesh struct {
	Near   int `yaml:"near"`   // neighbours opened for their round trip; default 6
	Random int `yaml:"random"` // neighbours opened at random; default 6
	Sample int `yaml:"sample"` // peers discovered, from which the near ones are chosen; default 100
	Kept   int `yaml:"kept"`   // above it, who opens another lets the farthest go that carries nothing; default 30
	Most   int `yaml:"most"`   // neighbours held, opened by either side; default 64, as a viewer takes
	Origin int `yaml:"origin"` // neighbours that the origin wants, half of them near; default 48
}

// Class is a kind of peer.
type Class struct {
	Name      string           `yaml:"name"`
	Share     float64          `yaml:"share"`
	Up        Rate             `yaml:"up"`
	UpSpread  [3]Rate          `yaml:"up_p10_p50_p90"` // a two-sided log-normal instead of Up
	Down      Rate             `yaml:"down"`
	Claims    Rate             `yaml:"claims"` // what it believes its uplink to be; default the uplink
	Loss      float64          `yaml:"loss"`   // share of packets lost on a path to or from it
	LastMile  [2]time.Duration `yaml:"last_mile"`
	Jitter    time.Duration    `yaml:"jitter"`    // mean of an exponential, added to each message
	NAT       bool             `yaml:"nat"`       // takes no incoming connections
	Behaviour Behaviour        `yaml:"behaviour"` // default honest
}

// Behaviour is how a class keeps to the protocol.
type Behaviour string

// The behaviours.
const (
	Honest  Behaviour = "honest"
	Mute    Behaviour = "mute"    // adverts and promises like an honest peer, sends no fragment
	Garbage Behaviour = "garbage" // sends fragments with wrong bytes
	Free    Behaviour = "free"    // takes and gives nothing
)

// Join says when peers come: First of them within Over from the start, the others as a crowd.
type Join struct {
	Over  time.Duration `yaml:"over"` // default 2s
	Crowd *Crowd        `yaml:"crowd"`
}

// Crowd is a number of peers that come together.
type Crowd struct {
	Peers int           `yaml:"peers"` // of the scenario's peers
	At    time.Duration `yaml:"at"`    // after the warm-up
	Over  time.Duration `yaml:"over"`
}

// Churn replaces Share of the peers every Every, from the end of the warm-up on.
type Churn struct {
	Share    float64       `yaml:"share"`
	Every    time.Duration `yaml:"every"`
	Graceful bool          `yaml:"graceful"`
}

// Fault is something that happens to a region: the Share of the peers that are nearest to a random one of them.
type Fault struct {
	Kind  string        `yaml:"kind"`  // fail: they vanish; part: they are cut off from the others
	At    time.Duration `yaml:"at"`    // after the warm-up
	For   time.Duration `yaml:"for"`   // a partition heals after it
	Share float64       `yaml:"share"` // default 0.2
}

// Target is what a scenario is to reach; zero fields are not judged. Times are in milliseconds.
type Target struct {
	P50        float64  `yaml:"p50" json:"p50,omitempty"`
	P99        float64  `yaml:"p99" json:"p99,omitempty"`
	Lost       *float64 `yaml:"lost" json:"lost,omitempty"`
	Overhead   float64  `yaml:"overhead" json:"overhead,omitempty"`
	StartupP50 float64  `yaml:"startup_p50" json:"startup_p50,omitempty"`
	StartupP95 float64  `yaml:"startup_p95" json:"startup_p95,omitempty"`
}

// Names returns the names of the built-in scenarios.
func Names() []string {
	entries, _ := fs.ReadDir(builtin, "scenarios")
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Load returns the built-in scenario of that name, or the one in the file of that name.
func Load(name string) (*Scenario, error) {
	if slices.Contains(Names(), name) {
		b, err := builtin.ReadFile(path.Join("scenarios", name+".yaml"))
		if err != nil {
			return nil, err
		}
		return Parse(b)
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %q: neither a file nor one of %s", ErrScenario, name, strings.Join(Names(), ", "))
	} else if err != nil {
		return nil, err
	}
	return Parse(b)
}

// Parse returns the scenario in b, with its defaults filled in.
func Parse(b []byte) (*Scenario, error) {
	s := &Scenario{}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	s.defaults()
	return s, s.Check()
}

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (s *Scenario) defaults() {
	or(&s.Duration, 60*time.Second)
	or(&s.Warmup, 15*time.Second)
	or(&s.Settle, 3*time.Second)
	or(&s.Late, 2*time.Second)
	or(&s.Track.Bitrate, 3e6)
	or(&s.Track.Chunk, 250*time.Millisecond)
	or(&s.Track.Group, 8)
	or(&s.Track.Keyframe, 3)
	or(&s.Track.Vary, 0.15)
	if s.Links.Pacing == nil {
		yes := true
		s.Links.Pacing = &yes
	}
	or(&s.Links.Burst, 14520)
	or(&s.Links.Window, 40960)
	or(&s.Links.Connect, 100*time.Millisecond)
	or(&s.Links.Detect, 3*time.Second)
	or(&s.Mesh.Near, 6)
	or(&s.Mesh.Random, 6)
	or(&s.Mesh.Sample, 100)
	or(&s.Mesh.Kept, 30)
	or(&s.Mesh.Most, 64)
	or(&s.Mesh.Origin, 48)
	or(&s.Origin.Up, 100e6)
	or(&s.Origin.Down, 100e6)
	or(&s.Join.Over, 2*time.Second)
	s.Origin.Name = "origin"
	for i := range s.Classes {
		c := &s.Classes[i]
		or(&c.Share, 1)
		or(&c.Down, 100e6)
		or(&c.Behaviour, Honest)
		if c.UpSpread[1] != 0 {
			c.Up = c.UpSpread[1]
		}
	}
	for i := range s.Faults {
		or(&s.Faults[i].Share, 0.2)
	}
}
