package testpicture

import "math"

// birds is how many birds the flock has.
const birds = 72

// lap is the time in seconds after which the flock repeats itself.
const lap = 600

// turns is an angle that goes round n times a lap.
func turns(t float64, n int) float64 { return 2 * math.Pi * float64(n) * t / lap }

// birdAt is the place of bird i at time t in a box from (0,0) to (1,1): a disc of birds that wanders, stretches and
// folds. It has no state, so that a frame left out leaves no trace.
func birdAt(i int, t float64) (x, y float64) {
	r := math.Sqrt((float64(i) + 0.5) / birds)
	a := float64(i)*2.39996 + 0.5*math.Sin(turns(t, 31)+3*r) + turns(t, 17)
	lag := t - 1.2*r // the rim follows the middle
	cx := 0.5 + 0.30*math.Sin(turns(lag, 29)) + 0.06*math.Sin(turns(lag, 71))
	cy := 0.5 + 0.12*math.Sin(turns(lag, 53)+1)
	stretch := 1 + 0.45*math.Sin(turns(t, 43)+2)
	dx, dy := r*math.Cos(a)*stretch, r*math.Sin(a)/stretch
	dy += 0.35 * math.Sin(3*dx+turns(t, 61))
	return cx + 0.19*dx, cy + 0.38*dy
}

// drawFlock draws the birds into the box with the corner (left, top).
func drawFlock(c canvas, left, top, width, height, unit, t float64) {
	t = math.Mod(t, lap)
	for i := range birds {
		x, y := birdAt(i, t)
		nx, ny := birdAt(i, t+0.1)
		vx, vy := (nx-x)*width, (ny-y)*height
		if v := math.Hypot(vx, vy); v > 0 {
			vx, vy = vx/v, vy/v
		}
		px, py := left+x*width, top+y*height
		near := 0.6 + 0.4*math.Sin(float64(i)*1.7+turns(t, 37))
		span := unit * (2.8 + 2.2*near)
		flap := 0.55 + 0.45*math.Sin(turns(t, 1500)+float64(i)*2.1)
		// Two wings from the body, swept back, more so when they beat.
		for _, side := range [2]float64{-1, 1} {
			wx := px - vx*span*0.55 - side*vy*span*flap
			wy := py - vy*span*0.55 + side*vx*span*flap
			c.stroke(px, py, wx, wy, unit*(1.1+0.5*near), 205, 0.55+0.4*near)
		}
	}
}
