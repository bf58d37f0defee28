package state

// Store keeps what was seen and done. The servers are the truth for what runs; the store is a cache and the longer history,
// and losing it loses no container. Every method is one transaction; none holds anything open between calls. Methods are
// safe for concurrent use, also by several processes.
type Store interface {
	// SaveSnapshot keeps the newest snapshot of its app.
	SaveSnapshot(Snapshot) error
	// Snapshot returns the newest snapshot; false when none was ever kept.
	Snapshot(App) (Snapshot, bool, error)

	// SaveRelease adds a release record, or replaces the one with the same number.
	SaveRelease(Record) error
	// Releases returns the app's records, newest first.
	Releases(App) ([]Record, error)

	// SavePlan keeps a plan under its nonce.
	SavePlan(App, PlanRecord) error
	// Plans returns up to limit plans, newest first.
	Plans(app App, limit int) ([]PlanRecord, error)

	// Append adds events in their order.
	Append(App, ...Event) error
	// Events returns up to limit events, newest first.
	Events(app App, limit int) ([]Event, error)

	// SaveWatch keeps what the daemon remembers of its app.
	SaveWatch(Watch) error
	// Watch returns what the daemon remembers of an app; false when nothing was ever kept.
	Watch(App) (Watch, bool, error)

	// Trim takes away the oldest events and plans beyond so many.
	Trim(app App, events, plans int) error

	// Apps lists every app that the store knows, sorted.
	Apps() ([]App, error)
	Close() error
}
