package reconcile

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// TestARecordSaysOnceHowAllHostsAreReached.
func TestARecordSaysOnceHowAllHostsAreReached(t *testing.T) {
	ssh := release.SSH{User: "deploy", Port: 22, Keys: []string{"id_ed25519"}}
	other := release.SSH{User: "root", Port: 2222}
	desired := release.Release{Service: "shop", SSH: ssh, Hosts: []release.Host{
		{Name: "a", Address: "a", SSH: ssh}, {Name: "b", Address: "b", SSH: other}, {Name: "c", Address: "c", SSH: ssh}}}
	data, err := packRelease(desired)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "id_ed25519"); n != 1 {
		t.Errorf("the keys are named %d times: %s", n, data)
	}
	back, err := unpackRelease(data)
	if err != nil || !reflect.DeepEqual(back, desired) {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if desired.Hosts[0].SSH.User != "deploy" {
		t.Error("packing changed the release itself")
	}
	plain, _ := json.Marshal(desired) // as records had it before
	if back, err = unpackRelease(plain); err != nil || !reflect.DeepEqual(back, desired) {
		t.Errorf("an older record reads as %+v, %v", back, err)
	}
}
