package docker

import (
	"maps"
	"testing"

	"github.com/kamald/kamald/state"
)

func TestANameWithoutAValueSetsNothing(t *testing.T) {
	clear, secrets := redact([]string{"A=1", "BARE", "EMPTY=", "S=x"}, nil, state.View{Key: []byte("k"), Clear: map[string]bool{"A": true, "BARE": true, "EMPTY": true}})
	if want := map[string]string{"A": "1", "EMPTY": ""}; !maps.Equal(clear, want) {
		t.Errorf("clear: %q", clear)
	}
	if _, there := secrets["S"]; !there || len(secrets) != 1 {
		t.Errorf("secrets: %q", secrets)
	}
}
