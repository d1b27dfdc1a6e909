package shim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"murmuration/playlist"
)

// metrics are the shim's own, in a registry of its own so that several shims fit into one process.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	sent     *prometheus.CounterVec
	waiting  prometheus.Gauge
	listed   prometheus.Counter
	gaps     prometheus.Counter
	late     prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_shim_requests_total", Help: "HTTP requests answered, by what was asked for and the status code.",
		}, []string{"kind", "code"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "murmur_shim_sent_bytes_total", Help: "Bytes of HTTP bodies sent, by what was asked for.",
		}, []string{"kind"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "murmur_shim_waiting_requests", Help: "Requests that wait for a part, a playlist or the next chunk.",
		}),
		listed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "murmur_shim_parts_listed_total", Help: "Parts listed in playlists.",
		}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "murmur_shim_parts_missing_total", Help: "Parts that players were told are missing.",
		}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "murmur_shim_parts_late_total", Help: "Chunks that came too late to be listed.",
		}),
	}
	m.registry.MustRegister(m.requests, m.sent, m.waiting, m.listed, m.gaps, m.late)
	return m
}

func (m *metrics) handler(node prometheus.Gatherer) http.Handler {
	all := prometheus.Gatherers{m.registry}
	if node != nil {
		all = append(all, node)
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{})
}

// parts counts what has happened to a playlist's parts since before.
func (m *metrics) parts(before, now playlist.Stats) {
	m.listed.Add(float64(now.Listed - before.Listed))
	m.gaps.Add(float64(now.Gaps + now.Skipped - before.Gaps - before.Skipped))
	m.late.Add(float64(now.Late - before.Late))
}

func (m *metrics) count(c *counter) {
	if c.code == 0 {
		c.code = http.StatusOK
	}
	m.requests.WithLabelValues(c.kind, strconv.Itoa(c.code)).Inc()
	m.sent.WithLabelValues(c.kind).Add(float64(c.bytes))
}

// kindOf names what a path asks for, in few words.
func kindOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".m3u8"):
		return "playlist"
	case strings.HasSuffix(path, "live.mp4"):
		return "live"
	case strings.HasPrefix(path, "/b/"):
		switch name := path[strings.LastIndexByte(path, '/')+1:]; {
		case strings.HasPrefix(name, "p-"):
			return "part"
		case strings.HasPrefix(name, "s-"):
			return "segment"
		}
		return "init"
	case strings.HasPrefix(path, "/api/"):
		return "api"
	}
	return "page"
}

// counter is a ResponseWriter that notes what was answered.
type counter struct {
	http.ResponseWriter
	kind  string
	code  int
	bytes int
}

func (c *counter) WriteHeader(code int) {
	if c.code == 0 && code >= 200 {
		c.code = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController through.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
