package plan

// DriftClass says what an item's thing was found to be, for whoever counts, filters or explains drift: its reason is a text for a
// person. Only what a partial release has put there on purpose has none.
type DriftClass string

// The classes of drift.
const (
	DriftExited      DriftClass = "exited"       // the container has ended, or was never started
	DriftUnhealthy   DriftClass = "unhealthy"    // its health check says so
	DriftRestarting  DriftClass = "restarting"   // it ends again and again
	DriftPaused      DriftClass = "paused"       // somebody has paused it
	DriftMissing     DriftClass = "missing"      // there is no such container
	DriftSuperseded  DriftClass = "superseded"   // an older one still runs, beside the wanted one or in place of it
	DriftSpec        DriftClass = "spec"         // it is there with another specification
	DriftRoute       DriftClass = "route"        // the proxy has lost the route, or has it otherwise
	DriftNetwork     DriftClass = "network"      // a network is not there, or a container is not attached to it
	DriftTag         DriftClass = "tag"          // latest is at another image
	DriftOrphan      DriftClass = "orphan"       // ours, and no release asks for it
	DriftImage       DriftClass = "image"        // the version's image is not there, or its tag is at another
	DriftSecretsFile DriftClass = "secrets-file" // a file of secrets, or a certificate, is not there or is another
	DriftProxy       DriftClass = "proxy"        // the proxy itself
	DriftRecord      DriftClass = "record"       // a host lacks the record of what is held
	DriftDisk        DriftClass = "disk"         // what is kept for nothing takes room
	DriftMoved       DriftClass = "moved"        // moved to another version without a record: see HandMove
)

// DriftClasses are all of them, in the order in which they are explained.
var DriftClasses = []DriftClass{
	DriftMissing, DriftExited, DriftRestarting, DriftUnhealthy, DriftPaused, DriftRoute, DriftNetwork, DriftProxy, DriftSpec,
	DriftSuperseded, DriftTag, DriftImage, DriftSecretsFile, DriftMoved, DriftDisk, DriftOrphan, DriftRecord,
}
