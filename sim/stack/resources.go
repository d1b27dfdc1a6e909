package stack

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

const (
	garbage = 200        // percent of garbage over what is in use: 200 peers use 0.9 GB with their stacks
	ceiling = 3600 << 20 // bytes from which on memory counts more than time: 200 peers are to fit in 4 GiB
	share   = 18 << 20   // bytes a node, where that is more

	// One processor at a time: a bubble's clock moves on when all of its goroutines wait, many times in a millisecond,
	// and each time two processors would wait for one another. Measured, 30 peers: 7.1 s of one processor, 10.4 s of two.
	// It also makes runs of one seed more alike.
	processors = 1
)

// roomy sets the process up for a run of so many nodes, trading memory for time in the garbage collector, and returns what undoes it.
func roomy(nodes int) (undo func()) {
	percent, limit, procs := debug.SetGCPercent(garbage), debug.SetMemoryLimit(max(ceiling, int64(nodes)*share)), runtime.GOMAXPROCS(processors)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
		runtime.GOMAXPROCS(procs)
	}
}

// realSocket returns a socket that carries nothing, for quic-go to set its options, and what closes it. It silences what
// quic-go would say about such a socket's buffers, which no packet passes.
func realSocket() (raw syscall.RawConn, shut func(), err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sim: no UDP socket on this machine: %w", err)
		}
	}()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	shut = func() { _ = c.Close() }
	if raw, err = c.SyscallConn(); err == nil {
		err = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	}
	if err != nil {
		shut()
		return nil, nil, err
	}
	return raw, shut, nil
}
