package ssh

import "testing"

// A peer that answers no keepalive, while it is at work on what it was sent, is not given up; one that is silent is.
func TestAPeerThatSendsIsNotGivenUp(t *testing.T) {
	s := silence{heard: 7}
	for interval := range int64(100) {
		if s.tooLong(8 + interval) {
			t.Fatal("given up though it sends")
		}
	}
	for interval, want := range []bool{false, false, true} {
		if s.tooLong(107) != want {
			t.Errorf("after %d intervals of silence given up: %v, want %v", interval+1, !want, want)
		}
	}
}
