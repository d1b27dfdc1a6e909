package unixfs

// Bounds of a view. Build keeps to them, Open refuses what does not.
const (
	// maxTracks is how many tracks a recording may have.
	maxTracks = 32
	// maxTitle is the longest title in bytes.
	maxTitle = 4 << 10
	// maxInfo is the largest info.json in bytes.
	maxInfo = 4 << 20
	// maxStill is the largest poster.jpg in bytes.
	maxStill = 2 << 20
)
