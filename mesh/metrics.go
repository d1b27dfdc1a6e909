package mesh

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// roomMetrics are the room's Prometheus metrics, all tracks together.
type roomMetrics struct {
	published, received, fetched, duplicate, rejected, sent, missed, dropped prometheus.Counter

	delay     prometheus.Histogram
	logAsked  *prometheus.CounterVec
	logServed *prometheus.CounterVec
	banned    prometheus.Counter

	unregister func()
}

// newMetrics registers the metrics of a node, where there is a registerer.
func newMetrics(reg prometheus.Registerer, n *Node) (*roomMetrics, error) {
	chunks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "murmur_mesh_chunks_total",
		Help: "Chunks by what became of them. Received counts each chunk once and includes fetched; sent counts copies.",
	}, []string{"event"})
	m := &roomMetrics{
		published: chunks.WithLabelValues("published"),
		received:  chunks.WithLabelValues("received"),
		fetched:   chunks.WithLabelValues("fetched"),
		duplicate: chunks.WithLabelValues("duplicate"),
		rejected:  chunks.WithLabelValues("rejected"),
		sent:      chunks.WithLabelValues("sent"),
		missed:    chunks.WithLabelValues("missed"),
		dropped:   chunks.WithLabelValues("dropped"),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "murmur_mesh_delay_seconds",
			Help:    "Time from a chunk's capture to its verified arrival here, by the two wall clocks.",
			Buckets: []float64{.25, .3, .35, .4, .5, .6, .8, 1, 1.5, 2, 3, 5, 10},
		}),
		logAsked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_mesh_log_asked_total",
			Help: "Requests to the logs of others, by result.",
		}, []string{"result"}),
		logServed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_mesh_log_served_total",
			Help: "Log requests of others, by result.",
		}, []string{"result"}),
		banned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "murmur_mesh_banned_total",
			Help: "Peers disconnected for misbehaviour.",
		}),
	}
	var registered []prometheus.Collector
	m.unregister = func() {
		for _, c := range registered {
			reg.Unregister(c)
		}
	}
	if reg == nil {
		return m, nil
	}
	bytes := func(direction string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "murmur_mesh_bytes_total", Help: "Bytes on libp2p streams.",
			ConstLabels: prometheus.Labels{"direction": direction},
		}, value)
	}
	for _, c := range []prometheus.Collector{
		chunks, m.delay, m.logAsked, m.logServed, m.banned,
		bytes("in", func() float64 { return float64(n.traffic.in.Load()) }),
		bytes("out", func() float64 { return float64(n.traffic.out.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "murmur_mesh_peers", Help: "Connected peers.",
		}, func() float64 { return float64(len(n.host.Network().Peers())) }),
	} {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("mesh: metrics: %w", err)
		}
		registered = append(registered, c)
	}
	return m, nil
}
