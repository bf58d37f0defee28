package plan

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/state"
)

func TestPortsThatTheImageExposesAreNoDriftOfThoseAskedFor(t *testing.T) {
	image := state.Image{ID: "sha256:1", Inspected: true, Ports: []int{3000}}
	asked := state.Spec{Options: map[string][]string{"expose": {"9000/tcp"}}}
	for live, want := range map[string]bool{"3000/tcp 9000/tcp": false, "9000/tcp": false, "3000/tcp": true, "3000/udp 9000/tcp": true, "3001/tcp 9000/tcp": true} {
		c := state.Container{Live: state.Spec{Options: map[string][]string{"expose": strings.Fields(live)}}}
		if got := drift(asked, c, image); (len(got) > 0) != want {
			t.Errorf("%s: %+v", live, got)
		}
	}
}
