package ingest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
)

// rtmpTimescale is the units per second that we count video in. RTMP itself counts milliseconds.
const rtmpTimescale = 90000

// rtmpMedia turns the messages of a publisher into units.
type rtmpMedia struct {
	*session
	feed   feed
	time   int64 // the last timestamp in milliseconds, unwrapped
	timed  bool
	warned map[string]bool
	av1    *codecs.AV1 // from the configuration, nil where it has none
}

// publish tells the publisher to go ahead and takes its stream until it ends. It always returns an error.
func (n *session) publish(command *message.CommandAMF0, sink Sink, seat *seat) error {
	if !n.status(command, "status", "NetStream.Publish.Start", "Publishing.") {
		return errors.New("the publisher went away")
	}
	n.left = -1
	n.log.Info("publisher came", "application", n.application)
	n.server.config.Event(RTMPEvent{Kind: PublisherCame, Sink: sink, Peer: n.peer})

	m := &rtmpMedia{session: n, warned: make(map[string]bool)}
	m.feed = feed{sink: wrapSink{sink}, log: n.log}
	heard := time.Now()
	for {
		if err := n.conn.SetReadDeadline(heard.Add(n.server.config.ReadTimeout)); err != nil {
			return err
		}
		msg, err := n.rw.Read()
		if err != nil {
			if err := m.unknown(err); err != nil {
				return err
			}
			continue
		}
		media, err := m.message(msg)
		if err != nil {
			return err
		}
		if media {
			heard = time.Now()
			seat.heard.Store(int64(heard.Sub(n.server.start)))
		}
	}
}

// unknown takes the library's complaints of codecs that it does not know, and returns any other error as it is. The
// library has read such a message whole, so the stream can go on after it.
func (m *rtmpMedia) unknown(err error) error {
	var number uint32
	switch text := err.Error(); {
	case scan(text, "unsupported audio codec: %d", &number):
		name, ok := map[uint32]string{0: "linear PCM", 1: "ADPCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser", 11: "Speex", 14: "MP3 at 8 kHz"}[number]
		if !ok {
			name = fmt.Sprintf("format %d", number)
		}
		return m.noAudio(name)
	case scan(text, "unsupported video codec: %d", &number):
		name, ok := map[uint32]string{2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6", 6: "Screen Video 2", 13: "AV1 in the old way"}[number]
		if !ok {
			name = fmt.Sprintf("format %d", number)
		}
		return unsupported("video", name)
	case scan(text, "unsupported fourCC: %d", &number):
		name := strings.ToValidUTF8(string([]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}), "?")
		if name == "ec-3" {
			return m.noAudio("E-AC-3")
		}
		return unsupported("video", fmt.Sprintf("%q", name))
	}
	return err
}

func scan(text, format string, v *uint32) bool {
	n, err := fmt.Sscanf(text, format, v)
	return n == 1 && err == nil
}

// wrapSink marks the sink's errors as its own.
type wrapSink struct{ Sink }

func (w wrapSink) Format(f chunker.Format) error { return marked(w.Sink.Format(f)) }
func (w wrapSink) Unit(u chunker.Unit) error     { return marked(w.Sink.Unit(u)) }

func marked(err error) error {
	if err == nil {
		return nil
	}
	return &sinkError{err}
}

// warn logs something once.
func (m *rtmpMedia) warn(what string, err error) {
	if text := what + err.Error(); !m.warned[text] {
		m.warned[text] = true
		m.log.Warn(what, "err", err)
	}
}

// message takes a message and reports whether it was picture or sound.
func (m *rtmpMedia) message(msg message.Message) (bool, error) {
	switch msg := msg.(type) {
	case *message.CommandAMF0:
		switch msg.Name {
		case "FCUnpublish", "deleteStream", "closeStream":
			return false, errStopped
		}
		return false, nil

	case *message.DataAMF0:
		return false, m.metadata(msg.Payload)

	case *message.Video:
		switch msg.Type {
		case message.VideoTypeConfig:
			return true, m.videoConfig(msg.AVCConfig, msg.HEVCConfig)
		case message.VideoTypeAU:
			return true, m.nalus(msg.DTS, msg.PTSDelta, msg.AU)
		}
		return false, nil

	case *message.VideoExMultitrack:
		if msg.TrackID != 0 {
			m.warn("video track left out", fmt.Errorf("only the first is taken, not track %d", msg.TrackID))
			return true, nil
		}
		return m.message(msg.Wrapped)
	case *message.VideoExSequenceStart:
		switch msg.FourCC {
		case message.FourCCAV1:
			m.av1Config(msg.AV1Config)
			return true, nil
		case message.FourCCVP9:
			return true, nil // the size is not in it: the first key frame tells all
		}
		return true, m.videoConfig(msg.AVCConfig, msg.HEVCConfig)
	case *message.VideoExCodedFrames:
		return true, m.videoFrame(msg.FourCC, msg.DTS, msg.PTSDelta, msg.Payload)
	case *message.VideoExFramesX:
		return true, m.videoFrame(msg.FourCC, msg.DTS, 0, msg.Payload)

	case *message.Audio:
		return true, m.audio(msg)
	case *message.AudioExMultitrack:
		if msg.TrackID != 0 {
			m.warn("audio track left out", fmt.Errorf("only the first is taken, not track %d", msg.TrackID))
			return true, nil
		}
		return m.message(msg.Wrapped)
	case *message.AudioExSequenceStart:
		return true, m.audioConfig(msg)
	case *message.AudioExCodedFrames:
		return true, m.audioFrame(msg.FourCC, msg.DTS, msg.Payload)
	}
	return false, nil
}

// metadata learns from onMetaData which streams to wait for. Encoders name the codecs of what they send.
func (m *rtmpMedia) metadata(payload amf0.Data) error {
	for _, v := range payload {
		var o amf0.Object
		switch v := v.(type) {
		case amf0.Object:
			o = v
		case amf0.ECMAArray:
			o = amf0.Object(v)
		default:
			continue
		}
		_, hasVideo := o.Get("videocodecid")
		_, hasAudio := o.Get("audiocodecid")
		if hasVideo && !hasAudio {
			return m.feed.absent(audio)
		}
		if hasAudio && !hasVideo {
			return m.feed.absent(video)
		}
	}
	return nil
}

func (m *rtmpMedia) videoConfig(avc *mp4.AVCDecoderConfiguration, hevc *mp4.HvcC) error {
	var c codecs.Codec
	switch {
	case avc != nil:
		if len(avc.SequenceParameterSets) == 0 || len(avc.PictureParameterSets) == 0 {
			return errors.New("H.264 configuration without parameter sets")
		}
		sps := avc.SequenceParameterSets[0].NALUnit
		if err := new(h264.SPS).Unmarshal(sps); err != nil {
			return fmt.Errorf("H.264 configuration: %w", err)
		}
		c = &codecs.H264{SPS: sps, PPS: avc.PictureParameterSets[0].NALUnit}
	case hevc != nil:
		var sets [][]byte
		for _, a := range hevc.NaluArrays {
			for _, n := range a.Nalus {
				sets = append(sets, n.NALUnit)
			}
		}
		p := h265Params(sets)
		if p == nil {
			return errors.New("H.265 configuration without parameter sets")
		}
		c = p
	default:
		return errors.New("video configuration is empty")
	}
	return m.feed.codec(video, c, rtmpTimescale, time.Millisecond)
}

// av1Config keeps the sequence header of the configuration for a stream whose key frames do not carry it. Those that do
// are right where the configuration is a mere form.
func (m *rtmpMedia) av1Config(c *mp4.Av1C) {
	var obus av1.Bitstream
	if len(c.ConfigOBUs) > 0 && obus.Unmarshal(c.ConfigOBUs) == nil {
		m.av1 = av1Params(obus)
	}
}

func (m *rtmpMedia) videoFrame(fourCC message.FourCC, dts, delta time.Duration, payload []byte) error {
	switch fourCC {
	case message.FourCCAV1:
		var obus av1.Bitstream
		if err := obus.Unmarshal(payload); err != nil {
			return fmt.Errorf("AV1 frame: %w", err)
		}
		tu := withoutDelimiters(obus)
		if len(tu) == 0 {
			return nil
		}
		p := av1Params(tu)
		if p == nil && m.feed.lanes[video].codec == nil {
			p = m.av1
		}
		if p != nil {
			if err := m.feed.codec(video, p, rtmpTimescale, time.Millisecond); err != nil {
				return err
			}
		}
		return m.videoUnit(dts, 0, tu)
	case message.FourCCVP9:
		if len(payload) == 0 {
			return nil
		}
		if p := vp9Params(payload); p != nil {
			if err := m.feed.codec(video, p, rtmpTimescale, time.Millisecond); err != nil {
				return err
			}
		}
		return m.videoUnit(dts, 0, [][]byte{payload})
	}
	return m.nalus(dts, delta, payload)
}

// nalus takes an H.264 or H.265 access unit.
func (m *rtmpMedia) nalus(dts, delta time.Duration, payload []byte) error {
	var au h264.AVCC
	if err := au.Unmarshal(payload); err != nil {
		if errors.Is(err, h264.ErrAVCCNoNALUs) {
			return nil
		}
		return fmt.Errorf("video frame: %w", err)
	}
	return m.videoUnit(dts, delta, au)
}

func (m *rtmpMedia) videoUnit(dts, delta time.Duration, data [][]byte) error {
	// The composition time is a signed number of 24 bits (FLV E.4.3.1); the library reads it as unsigned.
	if delta >= 1<<23*time.Millisecond {
		delta -= 1 << 24 * time.Millisecond
	}
	ms := m.unwrap(dts)
	return m.feed.unit(video, chunker.Unit{
		DTS: ms * (rtmpTimescale / 1000), PTS: (ms + delta.Milliseconds()) * (rtmpTimescale / 1000),
		Data: data, Captured: m.clock.now(),
	})
}

// unwrap continues the timestamps, which count milliseconds in 32 bits, past their wrap-around.
func (m *rtmpMedia) unwrap(t time.Duration) int64 {
	ms := t.Milliseconds()
	if !m.timed {
		m.timed, m.time = true, ms
	}
	m.time += int64(int32(uint32(ms) - uint32(m.time)))
	return m.time
}

func (m *rtmpMedia) audio(msg *message.Audio) error {
	switch msg.Codec {
	case message.CodecMPEG4Audio:
		if msg.AACType == message.AudioAACTypeConfig {
			return m.aacConfig(msg.AACConfig)
		}
		return m.audioUnit(msg.DTS, msg.AU)
	case message.CodecMPEG1Audio:
		return m.audioFrame(message.FourCCMP3, msg.DTS, msg.AU)
	case message.CodecPCMA:
		return m.noAudio("G.711 A-law")
	case message.CodecPCMU:
		return m.noAudio("G.711 mu-law")
	case message.CodecLPCM:
		return m.noAudio("linear PCM")
	}
	return m.noAudio(fmt.Sprintf("format %d", msg.Codec))
}

func (m *rtmpMedia) noAudio(name string) error {
	err := unsupported("audio", name)
	if m.feed.lanes[video].absent {
		return err
	}
	m.warn("audio left out", err)
	return m.feed.absent(audio)
}

func (m *rtmpMedia) aacConfig(c *mpeg4audio.AudioSpecificConfig) error {
	if c == nil {
		return nil
	}
	return m.feed.codec(audio, &codecs.MPEG4Audio{Config: *c}, uint32(c.SampleRate), time.Millisecond)
}

func (m *rtmpMedia) audioConfig(msg *message.AudioExSequenceStart) error {
	switch msg.FourCC {
	case message.FourCCOpus:
		return m.feed.codec(audio, &codecs.Opus{ChannelCount: int(msg.OpusConfig.ChannelCount)}, 48000, time.Millisecond)
	case message.FourCCMP4A:
		return m.aacConfig(msg.AACConfig)
	case message.FourCCMP3:
		return nil // the first frame tells
	case message.FourCCAC3:
		return m.noAudio("AC-3")
	case message.FourCCFLAC:
		return m.noAudio("FLAC")
	}
	return nil
}

func (m *rtmpMedia) audioFrame(fourCC message.FourCC, dts time.Duration, payload []byte) error {
	switch fourCC {
	case message.FourCCMP3:
		if p := mp3Params(payload); p != nil {
			if err := m.feed.codec(audio, p, uint32(p.SampleRate), time.Millisecond); err != nil {
				return err
			}
		}
	case message.FourCCAC3, message.FourCCFLAC:
		return nil // said when it was announced
	}
	return m.audioUnit(dts, payload)
}

func (m *rtmpMedia) audioUnit(dts time.Duration, frame []byte) error {
	if len(frame) == 0 {
		return nil
	}
	scale := int64(m.feed.lanes[audio].timescale)
	ts := (m.unwrap(dts)*scale + 500) / 1000
	return m.feed.unit(audio, chunker.Unit{DTS: ts, PTS: ts, Data: [][]byte{frame}, Captured: m.clock.now()})
}
