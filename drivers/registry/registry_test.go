package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const repository = name + "/acme/shop"

func TestTagsAreListedHoweverTheRegistryAsksWhoComes(t *testing.T) {
	for _, auth := range []string{"", "basic", "bearer"} {
		s := newStandin(t, true, "v1.10.0", "v1.9.0", "latest")
		s.auth = auth
		tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login)
		if err != nil || strings.Join(tags, " ") != "latest v1.10.0 v1.9.0" {
			t.Errorf("%s: %v, %v", auth, tags, err)
		}
		if auth == "" && strings.Contains(s.requests(), "Basic") {
			t.Errorf("the password was sent unasked:\n%s", s.requests())
		}
	}
}

func TestEveryPageIsRead(t *testing.T) {
	var want []string
	for n := range 2500 {
		want = append(want, fmt.Sprintf("build-%04d", n))
	}
	for _, auth := range []string{"", "bearer"} {
		s := newStandin(t, true, want...)
		s.page, s.auth = 300, auth
		tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login)
		if err != nil || strings.Join(tags, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %d tags, %v", auth, len(tags), err)
		}
		if n := strings.Count(s.requests(), "/token"); auth == "bearer" && n != 1 {
			t.Errorf("%d tokens were asked for", n)
		}
	}
}

func TestARefusalAndAMissingRepositoryAreToldApart(t *testing.T) {
	for _, auth := range []string{"basic", "bearer"} {
		s := newStandin(t, true, "v1")
		s.auth = auth
		client := s.from(s.trusting(), state.RegistrySettings{}, nil)
		for who, wrong := range map[string]release.Auth{"nobody": {}, "the wrong password": {Server: name, Username: "deploy", Password: release.NewSecret("wrong-" + password)}} {
			_, err := client.Tags(t.Context(), repository, wrong)
			if !errors.Is(err, state.ErrDenied) || errors.Is(err, state.ErrNotFound) {
				t.Errorf("%s by %s: %v", auth, who, err)
			}
			if err != nil && (strings.Contains(err.Error(), password) || !strings.HasPrefix(err.Error(), "web-1: list the tags of "+repository)) {
				t.Errorf("%s by %s: %v", auth, who, err)
			}
		}
	}
	s := newStandin(t, true, "v1")
	if _, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), name+"/acme/other", release.Auth{}); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
}

func TestABusyRegistryIsAskedAgain(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInternalServerError} {
		var calls atomic.Int32
		s := newStandin(t, true, "v1")
		s.before = func(w http.ResponseWriter, _ *http.Request) bool {
			if calls.Add(1) > 2 {
				return false
			}
			w.WriteHeader(status)
			return true
		}
		if tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login); err != nil || len(tags) != 1 {
			t.Errorf("%d: %v, %v", status, tags, err)
		}
		calls.Store(-100)
		_, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login)
		if err == nil || errors.Is(err, state.ErrDenied) || errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d for ever: %v", status, err)
		}
		if n := calls.Load() + 100; n > 4 {
			t.Errorf("%d was asked %d times", status, n)
		}
	}
}

func TestWhatIsNoListOfTagsIsAnError(t *testing.T) {
	for name, body := range map[string]string{"a page of HTML": "<html>", "a list of numbers": `{"tags":[1]}`, "cut off": `{"tags":["v1"`, "nothing": ""} {
		s := newStandin(t, true)
		s.before = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte(body)); return true }
		if tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login); err == nil {
			t.Errorf("%s: %v", name, tags)
		}
	}
	s := newStandin(t, true)
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(`{"tags":["v1","","a b","\u001b[2J","` + strings.Repeat("x", 200) + `","v1"]}`))
		return true
	}
	if tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login); err != nil || strings.Join(tags, " ") != "v1" {
		t.Errorf("what can be no tag: %q, %v", tags, err)
	}
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(`{"tags":null}`))
		return true
	}
	if tags, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login); err != nil || len(tags) != 0 {
		t.Errorf("no tags: %q, %v", tags, err)
	}
}

func TestPagesWithoutAnEndAreGivenUp(t *testing.T) {
	s := newStandin(t, true)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Link", `</v2/acme/shop/tags/list?last=again>; rel="next"`)
		_, _ = w.Write([]byte(`{"tags":["v1"]}`))
		return true
	}
	if _, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(t.Context(), repository, login); err == nil || !strings.Contains(err.Error(), "500 pages") {
		t.Error(err)
	}
}

// Whatever a registry says, its password and its tokens go nowhere else.
func TestNoLoginGoesToAnotherServer(t *testing.T) {
	for _, auth := range []string{"basic", "bearer"} {
		for how, lead := range map[string]func(s *standin, w http.ResponseWriter, r *http.Request) bool{
			"a redirect": func(_ *standin, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					return false
				}
				http.Redirect(w, r, "https://elsewhere.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			},
			"a redirect after the login": func(_ *standin, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" || r.Header.Get("Authorization") == "" {
					return false
				}
				http.Redirect(w, r, "https://elsewhere.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			},
			"the next page": func(s *standin, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" || !s.allowed(r) {
					return false
				}
				w.Header().Set("Link", `<https://elsewhere.example.com/v2/acme/shop/tags/list?last=v1>; rel="next"`)
				_, _ = w.Write([]byte(`{"tags":["v1"]}`))
				return true
			},
		} {
			s, elsewhere := newStandin(t, true, "v1"), newStandin(t, true, "v2")
			s.auth, elsewhere.auth = auth, auth
			s.before = func(w http.ResponseWriter, r *http.Request) bool { return lead(s, w, r) }
			elsewhere.realm = "https://elsewhere.example.com/token"
			tags, err := s.from(s.trusting(), state.RegistrySettings{}, map[string]*standin{"elsewhere.example.com:443": elsewhere}).Tags(t.Context(), repository, login)
			for line := range strings.Lines(elsewhere.requests()) {
				if strings.Contains(line, "Basic") || strings.Contains(line, "Bearer") {
					t.Errorf("%s, %s: the other server was sent %s", auth, how, line)
				}
			}
			if err == nil {
				t.Errorf("%s, %s: %v", auth, how, tags)
			}
		}
	}
}
