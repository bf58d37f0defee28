package state

import (
	"encoding/json"
	"reflect"
)

// snapshotJSON is a snapshot as it is encoded.
type snapshotJSON struct {
	plainSnapshot
	Hosts []hostJSON `json:"hosts"`
}

type plainSnapshot Snapshot

// hostJSON is a host whose record another has too: a record names every host of its release, so that writing it for each of
// them would make a fleet's snapshot as large as its square.
type hostJSON struct {
	Host
	RecordAsOn string `json:"record_as_on,omitempty"` // the host before it that has the same record
}

// MarshalJSON writes a record that several hosts have with the first of them.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	wire := snapshotJSON{plainSnapshot: plainSnapshot(s), Hosts: make([]hostJSON, len(s.Hosts))}
	wire.plainSnapshot.Hosts = nil
	first := map[int]Host{}
	for i, host := range s.Hosts {
		wire.Hosts[i].Host = host
		if host.Record == nil {
			continue
		}
		before, there := first[host.Record.Number]
		switch {
		case !there:
			first[host.Record.Number] = host
		case before.Record == host.Record || reflect.DeepEqual(before.Record, host.Record):
			wire.Hosts[i].Record, wire.Hosts[i].RecordAsOn = nil, before.Name
		}
	}
	return json.Marshal(wire)
}

// UnmarshalJSON gives every host its record again.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	var wire snapshotJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	records := map[string]*Record{}
	read := Snapshot(wire.plainSnapshot)
	read.Hosts = nil
	for _, host := range wire.Hosts {
		if host.RecordAsOn != "" {
			host.Record = records[host.RecordAsOn]
		}
		records[host.Name] = host.Record
		read.Hosts = append(read.Hosts, host.Host)
	}
	*s = read
	return nil
}
