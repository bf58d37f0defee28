package registry

import (
	"errors"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestWhoIsLetInIsToldFromWhoIsNot(t *testing.T) {
	for _, auth := range []string{"", "basic", "bearer"} {
		s := newStandin(t, true)
		s.auth = auth
		client := s.from(s.trusting(), state.RegistrySettings{}, nil)
		if err := client.Login(t.Context(), login); err != nil {
			t.Errorf("%s: %v", auth, err)
		}
		wrong := release.Auth{Server: name, Username: "deploy", Password: release.NewSecret("wrong-" + password)}
		err := client.Login(t.Context(), wrong)
		if auth != "" && (!errors.Is(err, state.ErrDenied) || strings.Contains(err.Error(), password) || !strings.HasPrefix(err.Error(), "web-1: log in at "+name)) {
			t.Errorf("%s with a wrong password: %v", auth, err)
		}
	}
}

func TestARegistryThatIsNotThereIsNoRefusal(t *testing.T) {
	s := newStandin(t, true)
	client := s.from(s.trusting(), state.RegistrySettings{}, nil)
	s.Close()
	if err := client.Login(t.Context(), login); err == nil || errors.Is(err, state.ErrDenied) {
		t.Error(err)
	}
}
