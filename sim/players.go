package sim

// Buffers are the player's buffers in milliseconds that stalls are counted for.
func Buffers() []float64 { return []float64{0, 100, 250, 500, 1000, 2000} }

// Players are simulated players of several viewers, for the stalls that they see.
type Players struct {
	stalls []float64 // by buffer
	hours  float64
}

// Watch adds what one viewer's players, one for each of Buffers, would have seen: late[i] is how many milliseconds after
// its publication chunk i was complete, or negative where it never was; chunk is a chunk's length in milliseconds. A
// player starts once the first chunk is there and its buffer's time has passed. It stops for a chunk that is not there in
// time and goes on when it comes, that much later from then on; one that never comes is a stall too, and is left out.
func (p *Players) Watch(late []float64, chunk float64) {
	for len(late) > 0 && late[0] < 0 {
		late = late[1:]
	}
	if len(late) == 0 {
		return
	}
	if p.stalls == nil {
		p.stalls = make([]float64, len(Buffers()))
	}
	p.hours += float64(len(late)) * chunk / 3.6e6
	for i, buffer := range Buffers() {
		behind := late[0] + buffer // it plays a chunk when the chunk has been out for so long
		for _, ms := range late {
			if ms < 0 || ms > behind {
				p.stalls[i]++
			}
			behind = max(behind, ms)
		}
	}
}

// Stalls returns what was seen, in stalls an hour.
func (p *Players) Stalls() Waiting {
	w := Waiting{BufferMS: Buffers(), PerHour: make([]float64, len(Buffers()))}
	for i := range p.stalls {
		w.PerHour[i] = p.stalls[i] / p.hours
	}
	return w
}
