package plan

// Action is what happens to a thing; its value is the symbol that is shown.
type Action string

// The actions.
const (
	Create  Action = "+"
	Update  Action = "~"
	Remove  Action = "-"
	Replace Action = "±"
)

// Cause tells a change (you asked for this) from drift (somebody changed this).
type Cause string

// The causes.
const (
	Change    Cause = "change"    // asked for differs from what was asked for before
	Drift     Cause = "drift"     // live differs from what was asked for
	Leftover  Cause = "leftover"  // of a release that was interrupted or failed
	Orphan    Cause = "orphan"    // ours, and no longer wanted by the file
	Retention Cause = "retention" // beyond what is kept for rollback
)

// Risk is what an item may cost.
type Risk string

// The risks.
const (
	Safe        Risk = "safe"
	Downtime    Risk = "downtime"
	Destructive Risk = "destructive"
)

// Resource is the kind of thing an item is about.
type Resource string

// The resources.
const (
	ResourceContainer Resource = "container"
	ResourceImage     Resource = "image"
	ResourceNetwork   Resource = "network"
	ResourceProxy     Resource = "proxy"
	ResourceRoute     Resource = "route"
	ResourceTag       Resource = "tag"
	ResourceEnvFile   Resource = "env file"
	// ResourceCertificate is a role's certificate with its key.
	ResourceCertificate Resource = "certificate"

	// ResourceErrorPages are the pages that the proxy answers with in place of its own.
	ResourceErrorPages Resource = "error pages"
	ResourceRecord     Resource = "record"
	ResourceFile       Resource = "file"
)
