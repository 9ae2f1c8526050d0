package bench

// The names of figures, as the JSON has them: what they are in, and each has one
// unit. Programs rely on them.
const (
	nsPerCell      = "cpu_ns_per_cell"
	usEach         = "cpu_us_each"
	perSecondOne   = "per_s_one_core"
	perSecondAll   = "per_s_all_cores"
	mibPerSecond   = "mib_per_s"
	cpuPerGiB      = "cpu_s_per_gib"
	coresBusy      = "cores_busy"
	capacity       = "capacity_mib_per_s"
	readySeconds   = "ready_s"
	firstMedian    = "first_byte_ms"
	firstP90       = "first_byte_p90_ms"
	cpuPerFetch    = "cpu_ms_per_fetch"
	distance       = "times_floor"
	distanceWaited = "times_floor_waited"
)

const mib, gib = 1 << 20, 1 << 30

// headings are what the table says over a figure.
var headings = map[string]string{
	nsPerCell:      "CPU ns/cell",
	usEach:         "CPU µs each",
	perSecondOne:   "/s, one core",
	perSecondAll:   "/s, all cores",
	mibPerSecond:   "MiB/s",
	cpuPerGiB:      "CPU s/GiB",
	coresBusy:      "cores busy",
	capacity:       "MiB/s by itself",
	readySeconds:   "ready, s",
	firstMedian:    "first byte, ms",
	firstP90:       "90th percentile, ms",
	cpuPerFetch:    "CPU ms/fetch",
	distance:       "times the cheapest",
	distanceWaited: "times each record waited for",
}

// A figure is a number with the name that says what it is and its unit.
type figure struct {
	name  string
	value float64
}
