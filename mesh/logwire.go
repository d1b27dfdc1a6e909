package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/protocol"

	"murmuration/chunker/envelope"
)

// LogProtocol is the libp2p protocol id of the chunk log.
const LogProtocol = protocol.ID("/murmur/log/1.0.0")

const (
	logVersion    = 1
	maxLogRequest = 256     // bytes
	maxLogCount   = 512     // chunks in one answer
	maxLogBytes   = 8 << 20 // bytes of chunks in one answer, about
	maxLogSpan    = 10 * time.Minute
)

// ErrLogWire is wrapped by errors about bytes that are not a message of the log protocol.
var ErrLogWire = errors.New("mesh: malformed log message")

// logKind says what a request asks for.
type logKind byte

const (
	logRange  logKind = 1 // the chunks with From <= id <= To
	logLatest logKind = 2 // the last Span, from an independent chunk on
	logInit   logKind = 3 // an init segment
	logIndex  logKind = 4 // what is there of the chunks with From <= id <= To, without the chunks
)

// logRequest is the one message that the asking side sends on a stream.
type logRequest struct {
	Kind     logKind
	Track    TrackID
	From, To envelope.ID   // logRange, logIndex
	Span     time.Duration // logLatest, milliseconds on the wire
	Count    int           // all but logInit: chunks wanted at most
	Size     int           // all but logInit: bytes wanted at most, about
	Init     cid.Cid       // logInit
}

// appendTo returns the request as it goes over the wire, after its length.
func (r logRequest) appendTo(b []byte) []byte {
	b = append(b, logVersion, byte(r.Kind))
	b = append(b, r.Track.Channel[:]...)
	b = appendName(b, r.Track.Broadcast)
	b = appendName(b, r.Track.Track)
	switch r.Kind {
	case logRange, logIndex:
		b = appendID(appendID(b, r.From), r.To)
	case logLatest:
		b = binary.BigEndian.AppendUint32(b, uint32(r.Span/time.Millisecond))
	case logInit:
		return appendName(b, r.Init.KeyString())
	}
	b = binary.BigEndian.AppendUint16(b, uint16(r.Count))
	return binary.BigEndian.AppendUint32(b, uint32(r.Size))
}

func appendName(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func appendID(b []byte, id envelope.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id.Epoch), id.Seq)
}

// parseLogRequest reads a request strictly: nothing may be missing, over its bound, or left over.
func parseLogRequest(b []byte) (logRequest, error) {
	var r logRequest
	if len(b) > maxLogRequest {
		return r, fmt.Errorf("%w: request of %d bytes", ErrLogWire, len(b))
	}
	p := wireReader{b: b}
	if v := p.byte(); p.err == nil && v != logVersion {
		return r, fmt.Errorf("%w: version %d", ErrLogWire, v)
	}
	r.Kind = logKind(p.byte())
	copy(r.Track.Channel[:], p.take(len(r.Track.Channel)))
	r.Track.Broadcast = string(p.take(int(p.byte())))
	r.Track.Track = string(p.take(int(p.byte())))
	switch r.Kind {
	case logRange, logIndex:
		r.From = envelope.ID{Epoch: p.uint64(), Seq: p.uint64()}
		r.To = envelope.ID{Epoch: p.uint64(), Seq: p.uint64()}
	case logLatest:
		r.Span = time.Duration(p.uint32()) * time.Millisecond
	case logInit:
		c, err := cid.Cast(p.take(int(p.byte())))
		if p.err == nil && err != nil {
			return r, fmt.Errorf("%w: init: %w", ErrLogWire, err)
		}
		r.Init = c
	default:
		return r, fmt.Errorf("%w: request of kind %d", ErrLogWire, r.Kind)
	}
	if r.Kind != logInit {
		r.Count, r.Size = int(p.uint16()), int(p.uint32())
	}
	if p.err == nil && len(p.b) > 0 {
		p.err = errors.New("bytes left over")
	}
	if p.err != nil {
		return r, fmt.Errorf("%w: request: %w", ErrLogWire, p.err)
	}
	if err := r.Track.Check(); err != nil {
		return r, fmt.Errorf("%w: request: %w", ErrLogWire, err)
	}
	if r.To.Less(r.From) || r.Span > maxLogSpan || r.Kind != logInit && (r.Count == 0 || r.Size == 0) {
		return r, fmt.Errorf("%w: request for nothing or for too much", ErrLogWire)
	}
	if r.Kind == logIndex {
		r.Count, r.Size = min(r.Count, maxIndexCount), min(r.Size, maxIndexBytes)
	} else {
		r.Count, r.Size = min(r.Count, maxLogCount), min(r.Size, maxLogBytes)
	}
	return r, nil
}

// logStatus ends an answer.
type logStatus byte

const (
	logDone    logStatus = 0 // all that there is of what was asked
	logMore    logStatus = 1 // cut short by a limit: ask again from where it ends
	logUnknown logStatus = 2 // this node does not carry the track, or has no such init segment
	logBusy    logStatus = 3 // too many requests: ask someone else, or later
	logRefused logStatus = 4 // the request was malformed
)

// The parts of an answer: any number of chunks or pages of the index (or one init segment), then the end.
const (
	logItemEnd   = 0 // status, 1 byte; newest id, 16 bytes (zero where the track is empty or unknown)
	logItemChunk = 1 // length, 4 bytes; frame
	logItemInit  = 2 // length, 4 bytes; init segment
	logItemIndex = 3 // length, 4 bytes; page of the index
)

// logEnd is what the end of an answer says.
type logEnd struct {
	Status logStatus
	Newest envelope.ID
}

func appendLogEnd(b []byte, e logEnd) []byte {
	return appendID(append(b, logItemEnd, byte(e.Status)), e.Newest)
}

func appendLogHead(b []byte, kind byte, size int) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind), uint32(size))
}

func appendLogItem(b []byte, kind byte, data []byte) []byte {
	return append(appendLogHead(b, kind, len(data)), data...)
}

// takers say what to do with the parts of an answer, by their kinds. What none was given for was not asked for.
type takers [logItemIndex + 1]func([]byte) error

// partLimits bound the parts, by their kinds.
var partLimits = [logItemIndex + 1]uint32{logItemChunk: maxFrame, logItemInit: envelope.MaxInit, logItemIndex: maxPage}

// readLogAnswer is readAnswer for chunks and init segments.
func readLogAnswer(r io.Reader, count int, onChunk func(frame []byte) error, onInit func(data []byte) error) (logEnd, error) {
	return readAnswer(r, count, takers{logItemChunk: onChunk, logItemInit: onInit})
}

// readAnswer reads an answer and passes its parts on, at most count of them. It allocates no more than one part at a
// time, each within its bound. An error of a callback ends it.
func readAnswer(r io.Reader, count int, take takers) (logEnd, error) {
	for {
		var kind [1]byte
		if _, err := io.ReadFull(r, kind[:]); err != nil {
			return logEnd{}, err
		}
		if kind[0] == logItemEnd {
			var e [1 + 16]byte
			if _, err := io.ReadFull(r, e[:]); err != nil {
				return logEnd{}, unexpectedEOF(err)
			}
			p := wireReader{b: e[:]}
			end := logEnd{Status: logStatus(p.byte()), Newest: envelope.ID{Epoch: p.uint64(), Seq: p.uint64()}}
			if end.Status > logRefused {
				return logEnd{}, fmt.Errorf("%w: status %d", ErrLogWire, end.Status)
			}
			return end, nil
		}
		if kind[0] > logItemIndex || take[kind[0]] == nil {
			return logEnd{}, fmt.Errorf("%w: part of kind %d", ErrLogWire, kind[0])
		}
		limit, use := partLimits[kind[0]], take[kind[0]]
		if count--; count < 0 {
			return logEnd{}, fmt.Errorf("%w: more parts than were asked for", ErrLogWire)
		}
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return logEnd{}, unexpectedEOF(err)
		}
		n := binary.BigEndian.Uint32(size[:])
		if n == 0 || n > limit {
			return logEnd{}, fmt.Errorf("%w: part of %d bytes", ErrLogWire, n)
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(r, data); err != nil {
			return logEnd{}, unexpectedEOF(err)
		}
		if err := use(data); err != nil {
			return logEnd{}, err
		}
	}
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readSized reads a message with its length before it in two bytes.
func readSized(r io.Reader, limit int) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n == 0 || n > limit {
		return nil, fmt.Errorf("%w: message of %d bytes", ErrLogWire, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, unexpectedEOF(err)
}

func appendSized(b, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(msg))), msg...)
}

// wireReader reads fixed fields; the first error sticks, and what is read after it is zero.
type wireReader struct {
	b   []byte
	err error
}

func (p *wireReader) take(n int) []byte {
	if p.err != nil || n > len(p.b) {
		if p.err == nil {
			p.err = io.ErrUnexpectedEOF
		}
		return make([]byte, min(n, 255))
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *wireReader) byte() byte     { return p.take(1)[0] }
func (p *wireReader) uint16() uint16 { return binary.BigEndian.Uint16(p.take(2)) }
func (p *wireReader) uint32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *wireReader) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }
