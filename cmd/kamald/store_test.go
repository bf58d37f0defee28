package main

import (
	"errors"
	"testing"
)

func TestTheStoreIsWhereItIsGivenElseWhereTheMachineKeepsState(t *testing.T) {
	home := func() (string, error) { return "/home/ada", nil }
	cases := []struct {
		given, stateHome string
		root             bool
		want             string
	}{
		{"here.db", "/state", true, "here.db"},
		{"", "/state", true, "/state/kamald/state.db"},
		{"", "", true, "/var/lib/kamald/state.db"},
		{"", "", false, "/home/ada/.local/state/kamald/state.db"},
		{"", "relative", false, "/home/ada/.local/state/kamald/state.db"},
	}
	for _, c := range cases {
		if got, err := storePath(c.given, c.stateHome, c.root, home); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := storePath("", "", false, func() (string, error) { return "", errors.New("no home") }); err == nil {
		t.Error("a user without a home got a store")
	}
}
