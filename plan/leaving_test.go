package plan_test

import (
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

func TestAReasonFromAHostIsWrittenOut(t *testing.T) {
	intent := state.Intent{Kind: state.IntentCordon, Host: "web-1", Who: "a\x1b[2J", Reason: "disk\x07"}
	seen := state.Snapshot{Hosts: []state.Host{{Name: "web-1", Intents: []state.Intent{intent}}}}
	if got, want := plan.CordonedIn(seen, epoch)["web-1"], `cordoned by "a\x1b[2J": "disk\a"`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
