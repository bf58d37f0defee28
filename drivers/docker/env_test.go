package docker

import (
	"maps"
	"reflect"
	"testing"

	"github.com/moby/moby/api/types/container"

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

func TestAnOptionThatIsTheEnginesDefaultTooCountsAsAskedFor(t *testing.T) {
	inspected := container.InspectResponse{Config: &container.Config{}, HostConfig: &container.HostConfig{
		ShmSize: 64 << 20, Resources: container.Resources{Memory: 512 << 20, MemorySwap: 1 << 30}}}
	asked := map[string][]string{"shm-size": {"67108864"}, "memory": {"536870912"}, "memory-swap": {"1073741824"}}
	if got := observe(inspected, state.View{Options: asked}).Live.Options; !reflect.DeepEqual(got, asked) {
		t.Errorf("asked for: %v", got)
	}
	if got := observe(inspected, state.View{}).Live.Options; len(got) != 1 {
		t.Errorf("not asked for: %v", got)
	}
}
