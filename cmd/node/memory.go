package node

import (
	"math"
	"runtime"
	"runtime/debug"
)

const ( // our choice; bytes
	// leastMemory is the least that a node's ceiling can be: a relay of a small
	// network needs it, and what is less closes circuits that do no harm.
	leastMemory = 64 << 20
	// mostMemory is the most that the ceiling is without the operator's word (T).
	mostMemory = 8 << 30
	// unknownMemory is the ceiling where the machine does not tell its memory.
	unknownMemory = 512 << 20
	// ownMemory is what a node needs beside what its peers make it hold.
	ownMemory = 64 << 20
)

// queueMemory returns the node's ceiling: what the operator says, else a quarter of
// the machine's memory, within bounds.
func (c *Common) queueMemory() int64 {
	if c.MaxQueueMemory > 0 {
		return c.MaxQueueMemory
	}
	return ceilingFor(machineMemory())
}

// ceilingFor returns the ceiling on a machine with total bytes of memory, 0 if that
// is not known.
func ceilingFor(total uint64) int64 {
	if total == 0 {
		return unknownMemory
	}
	return int64(min(max(total/4, leastMemory), mostMemory))
}

// release has the runtime collect what is not used and give it back to the system:
// twice, since pools keep what they hold over one collection.
func release() {
	runtime.GC()
	debug.FreeOSMemory()
}

// tuneMemory has the collector work harder as the process comes near what a ceiling
// allows, and returns what gives memory back after a load. It does nothing unless
// the process is the node's alone, and leaves a limit of the operator's.
func (o Options) tuneMemory(ceiling int64) (giveBack func()) {
	if !o.Alone {
		return nil
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(ceiling + ceiling/16 + ownMemory)
	}
	return release
}

// shareFiles says how many links and streams fit into the files that the process
// may open; 0 and 0: as many as the relay likes. An exit's streams take a file each,
// as do links; the rest is for connections in their handshake, lookups and the disk.
func shareFiles(files uint64, exits bool) (links, streams int) {
	files = min(files, math.MaxInt32)
	if exits {
		return int(files * 3 / 8), int(files * 3 / 8)
	}
	return int(files * 3 / 4), 0
}
