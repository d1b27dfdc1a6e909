package exchange

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what the exchange does. They count without a registry, too.
type metrics struct {
	blocks   *prometheus.CounterVec // direction: sent, received, unasked
	bytes    *prometheus.CounterVec
	provides *prometheus.CounterVec
	cut      prometheus.Counter

	sentAt atomic.Int64 // when the last block left, in Unix nanoseconds

	registry   prometheus.Registerer
	registered []prometheus.Collector
}

func newMetrics(registry prometheus.Registerer, x *Exchange) (*metrics, error) {
	m := &metrics{
		blocks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_exchange_blocks_total", Help: "Blocks by bitswap: sent, received, and of these unasked.",
		}, []string{"direction"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_exchange_bytes_total", Help: "Bytes of blocks by bitswap.",
		}, []string{"direction"}),
		provides: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_exchange_provides_total", Help: "Announcements of recordings to the DHT.",
		}, []string{"result"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "murmur_exchange_cut_off_total", Help: "Peers disconnected because they sent blocks that nobody asked for.",
		}),
		registry: registry,
	}
	if registry == nil {
		return m, nil
	}
	wants := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "murmur_exchange_wants", Help: "Blocks that are being asked for.",
	}, func() float64 { return float64(x.asked.count()) })
	for _, c := range []prometheus.Collector{m.blocks, m.bytes, m.provides, m.cut, wants} {
		if err := registry.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
	m.registered = nil
}

func (m *metrics) sent(blocks, bytes int) {
	if blocks > 0 {
		m.sentAt.Store(time.Now().UnixNano())
	}
	m.blocks.WithLabelValues("sent").Add(float64(blocks))
	m.bytes.WithLabelValues("sent").Add(float64(bytes))
}

func (m *metrics) received(blocks, bytes, unasked int) {
	m.blocks.WithLabelValues("received").Add(float64(blocks))
	m.bytes.WithLabelValues("received").Add(float64(bytes))
	m.blocks.WithLabelValues("unasked").Add(float64(unasked))
}

func (m *metrics) provided(ok bool) {
	result := "ok"
	if !ok {
		result = "failed"
	}
	m.provides.WithLabelValues(result).Inc()
}

func (m *metrics) cutOff() { m.cut.Inc() }
