package storetest

import (
	"fmt"
	"testing"

	"github.com/kamald/kamald/state"
)

func messages(t *testing.T, s state.Store, app state.App, limit int) (messages []string) {
	t.Helper()
	events, err := s.Events(app, limit)
	must(t, err)
	for _, e := range events {
		messages = append(messages, e.Message)
	}
	return messages
}

func nonces(t *testing.T, s state.Store, limit int) (nonces []string) {
	t.Helper()
	plans, err := s.Plans(shop, limit)
	must(t, err)
	for _, p := range plans {
		nonces = append(nonces, p.Nonce)
	}
	return nonces
}

func numbers(t *testing.T, s state.Store) (numbers []string) {
	t.Helper()
	records, err := s.Releases(shop)
	must(t, err)
	for _, r := range records {
		numbers = append(numbers, fmt.Sprint(r.Number, r.Outcome))
	}
	return numbers
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if differ(got, want) {
		t.Fatalf("got  %s\nwant %s", encoded(got), encoded(want))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
