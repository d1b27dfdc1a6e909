package chunker

import (
	"math"
	"math/big"
	"math/bits"
	"time"
)

// A timeline lays the timestamps of a format's streams on the broadcast's media timeline. All streams share one
// anchor, a source time that stands for a media time, so that sound and picture keep their distance.

// clock maps one stream's timestamps.
type clock struct {
	in, out uint32 // timescales of the source and of the media timeline

	base    int64 // a source timestamp, unwrapped
	outBase int64 // where it lies on the media timeline, in units of out
	wrap    int64 // what to add to a raw timestamp to unwrap it
}

// The periods at which timestamps are known to wrap: 33 bits in MPEG-TS, 32 bits in RTMP.
var wraps = [...]int64{0, 1 << 33, 1 << 32, -1 << 33, -1 << 32}

// maxDelta bounds the distance from the anchor in source units, so that nothing overflows: 3000 years at 90 kHz.
const maxDelta = 1 << 53

// anchor makes source time at/scale seconds stand for media time media/mediaScale.
func (k *clock) anchor(at int64, scale uint32, media int64, mediaScale uint32) {
	k.wrap = 0
	// base = round(at*in/scale); outBase = media*out/mediaScale + (base/in - at/scale)*out, rounded.
	a := new(big.Int).Mul(big.NewInt(at), big.NewInt(int64(k.in)))
	base := divRound(a, big.NewInt(int64(scale)))
	if !base.IsInt64() {
		base.SetInt64(at)
	}
	k.base = base.Int64()
	diff := new(big.Int).Sub(new(big.Int).Mul(base, big.NewInt(int64(scale))), a) // over in*scale
	diff.Mul(diff, big.NewInt(int64(k.out)))
	diff = divRound(diff, big.NewInt(int64(k.in)*int64(scale)))
	k.outBase = rescale(media, mediaScale, k.out) + diff.Int64()
}

// at returns the media time of a raw timestamp when delta is added to what already unwraps it.
func (k *clock) at(raw, delta int64) (int64, bool) {
	d, ok := sub(raw, k.base)
	if !ok || d > maxDelta || d < -maxDelta {
		return 0, false
	}
	d += k.wrap + delta
	if d > maxDelta || d < -maxDelta {
		return 0, false
	}
	return k.outBase + rescale(d, k.in, k.out), true
}

// sub returns a-b, and whether it did not overflow.
func sub(a, b int64) (int64, bool) {
	d := a - b
	return d, (d < a) == (b > 0)
}

// divRound divides and rounds to the nearest; den is positive.
func divRound(num, den *big.Int) *big.Int {
	n := new(big.Int).Lsh(num, 1)
	n.Add(n, den)
	return n.Div(n, new(big.Int).Lsh(den, 1))
}

// rescale returns v*to/from, rounded to the nearest, for |v| up to 2^54 and scales up to 2^30.
func rescale(v int64, from, to uint32) int64 {
	if from == to {
		return v
	}
	neg := v < 0
	if neg {
		v = -v
	}
	hi, lo := bits.Mul64(uint64(v), uint64(to))
	lo, carry := bits.Add64(lo, uint64(from)/2, 0)
	hi += carry
	if hi >= uint64(from) {
		return math.MaxInt64 / 4 // far out of every limit
	}
	q, _ := bits.Div64(hi, lo, uint64(from))
	r := int64(min(q, math.MaxInt64/4))
	if neg {
		return -r
	}
	return r
}

// ticks returns a duration in units of scale, rounded down.
func ticks(d time.Duration, scale uint32) int64 {
	hi, lo := bits.Mul64(uint64(max(d, 0)), uint64(scale))
	q, _ := bits.Div64(hi, lo, uint64(time.Second))
	return int64(q)
}

// span returns v units of scale as a duration, rounded to the nearest.
func span(v int64, scale uint32) time.Duration {
	return time.Duration(rescale(v, scale, uint32(time.Second)))
}
