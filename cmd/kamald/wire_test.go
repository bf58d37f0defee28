package main

import (
	"reflect"
	"testing"

	"github.com/kamald/kamald/release"
)

func TestNoMoreDialsThanTheFileSaysAreBegunAtOnce(t *testing.T) {
	c := newConnector(release.Release{SSH: release.SSH{DialLimit: 3}}, nil)
	if slots := reflect.ValueOf(c.limiter).Elem().FieldByName("slots").Cap(); slots != 3 {
		t.Errorf("%d dials at once, want 3", slots)
	}
}
