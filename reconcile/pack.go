package reconcile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/kamald/kamald/release"
)

// packRelease is the desired release as a record keeps it. A host that is reached like all the others says nothing of it: the
// record lies on every host, so what it says of each counts twice.
func packRelease(desired release.Release) (json.RawMessage, error) {
	desired.Hosts = slices.Clone(desired.Hosts)
	for i, on := range desired.Hosts {
		if reflect.DeepEqual(on.SSH, desired.SSH) {
			desired.Hosts[i].SSH = release.SSH{}
		}
	}
	data, err := json.Marshal(desired)
	if err != nil {
		return nil, fmt.Errorf("the release cannot be recorded: %w", err)
	}
	return data, nil
}

// unpackRelease reads back what packRelease has written.
func unpackRelease(data json.RawMessage) (release.Release, error) {
	var desired release.Release
	if err := json.Unmarshal(data, &desired); err != nil {
		return release.Release{}, err
	}
	for i, on := range desired.Hosts {
		if reflect.DeepEqual(on.SSH, release.SSH{}) {
			desired.Hosts[i].SSH = desired.SSH
		}
	}
	return desired, nil
}
