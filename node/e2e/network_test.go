package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
)

// network is two places that cannot reach each other: a venue, where the origin runs, and a home, where the viewer does.
// Each is a network namespace behind a veth pair; between them are only the programs of the main namespace: the seeds,
// the encoder and the browser.
type network struct {
	venue, home place
}

// place is one namespace, seen from inside (addr) and from the main namespace (gate). Without a name it is the main
// namespace itself, on loopback.
type place struct {
	name       string
	addr, gate string // IPv4
}

// places counts the namespaces made, for names that do not return.
var places atomic.Int64

// newNetwork makes the namespaces, and removes them at the end of the test. Where this user may not make any (it takes
// root, and a container that lets it) everything is on loopback, and the test says so.
func newNetwork(t testing.TB) network {
	t.Helper()
	probe := fmt.Sprintf("murmur-probe-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput(); err != nil {
		t.Logf("no network namespaces here (%v %s): venue and home share the loopback", err, out)
		here := place{addr: "127.0.0.1", gate: "127.0.0.1"}
		return network{venue: here, home: here}
	}
	exec.Command("ip", "netns", "del", probe).Run()
	return network{venue: newPlace(t, "venue"), home: newPlace(t, "home")}
}

func newPlace(t testing.TB, name string) place {
	t.Helper()
	// A namespace goes away some time after its removal, and never where a test was killed; another run may be under way.
	// So each place has a name and one of the 16,384 networks of 10.77.0.0/16 with room for two.
	run := places.Add(1) + int64(os.Getpid()%160)*100
	subnet := fmt.Sprintf("10.77.%d.", run>>6)
	p := place{name: fmt.Sprintf("murmur-%s-%d", name, run), gate: subnet + fmt.Sprint(run&63<<2+1), addr: subnet + fmt.Sprint(run&63<<2+2)}
	link := fmt.Sprintf("mur%d", run)
	commands := [][]string{
		{"netns", "add", p.name},
		{"link", "add", link, "type", "veth", "peer", "name", "up0", "netns", p.name},
		{"addr", "add", p.gate + "/30", "dev", link},
		{"link", "set", link, "up"},
		{"-n", p.name, "addr", "add", p.addr + "/30", "dev", "up0"},
		{"-n", p.name, "link", "set", "up0", "up"},
		{"-n", p.name, "link", "set", "lo", "up"},
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", p.name).Run() })
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	return p
}

// start runs a program in the place.
func (p place) start(t testing.TB, name, program string, args ...string) *process {
	t.Helper()
	if p.name == "" {
		return start(t, name, program, args...)
	}
	return start(t, name, "ip", append([]string{"netns", "exec", p.name, program}, args...)...)
}
