package unixfs

// Bounds of a view. Build keeps to them, Open refuses what does not.
const (
	// maxTracks is how many tracks a recording may have.
	maxTracks = 32
	// maxChunks is how many chunks a recording may have: five days of four a second.
	maxChunks = 2 << 20
	// maxLeaves is how many links to leaves are followed in one view: each chunk stands in a segment and in an MP4.
	maxLeaves = 5 << 20
	// maxTextLeaves is how many leaves a small file may have.
	maxTextLeaves = 1 << 12
	// maxHead is how many leaves may stand before the chunks of an MP4: its init segment and its index.
	maxHead = 16
	// maxDepth is how deep the tree of a file may be: 1024 links a node make 10^12 leaves.
	maxDepth = 4
	// maxNode is the largest dag-pb node, and the largest leaf of a view's own files, in bytes.
	maxNode = 1 << 20
	// maxOwn is what all nodes and small files of a view may have together, in bytes: a day of one track has 70 MB.
	maxOwn = 512 << 20
	// maxFetches is how many nodes are looked at.
	maxFetches = 1 << 20
	// maxEntries is how many entries a folder may have.
	maxEntries = 1 << 18
	// maxEntryName is the longest name in a folder, in bytes.
	maxEntryName = 100
	// maxInits is how many formats a track may have gone through.
	maxInits = 1 << 12
	// maxText is the largest playlist or chunks.txt in bytes.
	maxText = 128 << 20
	// maxTitle is the longest title in bytes.
	maxTitle = 4 << 10
	// maxInfo is the largest info.json in bytes.
	maxInfo = 4 << 20
	// maxStill is the largest poster.jpg in bytes.
	maxStill = 2 << 20
	// fetchers is how many blocks Open asks for at once.
	fetchers = 16
)
