package reconcile

import (
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// LogOptions say which logs are read, and what of them.
type LogOptions struct {
	Hosts, Roles []string
	// Proxy reads the proxies' logs in place of the app's, and Accessory, a name of the file's, those of an accessory; then Roles is empty.
	Proxy     bool
	Accessory string
	// Container is the ID or the name of the one that is read, whatever it is like; "": those of the roles.
	Container string
	Lines     int           // the newest so many of each container; 0: all
	Since     time.Duration // not older than that, by each host's own clock; 0: any
	From      time.Time     // not older than that instant; zero: any
	Follow    bool
	Match     func(text string) bool // nil: every line
}

// Places are those whose logs are read, at least one; a proxy's has no role.
func (o LogOptions) Places(desired release.Release) ([]Place, error) {
	switch {
	case o.Accessory != "":
		return AccessoryPlaces(desired, o.Accessory, o.Hosts)
	case !o.Proxy:
		return Places(desired, o.Hosts, o.Roles)
	}
	hosts, err := ProxyHosts(desired, o.Hosts)
	var places []Place
	for _, host := range hosts {
		places = append(places, Place{Host: host})
	}
	return places, err
}

// LogLine is a line of a container's log.
type LogLine struct {
	At        time.Time `json:"at,omitzero"`
	Host      string    `json:"host"`
	Role      string    `json:"role,omitempty"`
	Container string    `json:"container"`
	Version   string    `json:"version,omitempty"`
	ID        string    `json:"id"`
	Stderr    bool      `json:"stderr,omitempty"`
	Text      string    `json:"line"`
}

// LogNote says something of the logs that is no line of them.
type LogNote struct {
	Host    string `json:"host,omitempty"`
	Role    string `json:"role,omitempty"`
	Message string `json:"note"`
	// Missing tells that there is something which was asked for and is not shown.
	Missing bool `json:"missing,omitempty"`
}

// logSource is one container whose log is read.
type logSource struct {
	on   release.Host
	conn *Connection
	box  state.Container
	role string // the prefix has it
}

func (s logSource) line(l state.LogLine) LogLine {
	return LogLine{At: l.At, Host: s.on.Name, Role: s.role, Container: s.box.Name, Version: s.box.Version(), ID: s.box.ShortID(), Stderr: l.Stderr, Text: l.Text}
}
