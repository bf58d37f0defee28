package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func read(t *testing.T, args []string, env map[string]string) settings {
	t.Helper()
	s, err := readSettings(func(name string) (string, bool) { value, ok := env[name]; return value, ok }, args)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(t *testing.T, s settings, path string) (status int, body string, header http.Header) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler(s).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String(), recorder.Header()
}

func TestTheAppSaysWhichVersionAnswers(t *testing.T) {
	t.Setenv("KAMAL_VERSION", "v2")
	t.Setenv("KAMAL_HOST", "10.0.0.1")
	status, body, _ := ask(t, read(t, nil, map[string]string{"APP_VERSION": "v2"}), "/")
	for _, line := range []string{"version=v2\n", "role=web\n", "kamal_version=v2\n", "kamal_host=10.0.0.1\n"} {
		if status != http.StatusOK || !strings.Contains(body, line) {
			t.Errorf("%d %q lacks %q", status, body, line)
		}
	}
}

func TestHealthIsAsSet(t *testing.T) {
	for _, c := range []struct {
		name   string
		env    map[string]string
		status int
		body   string
	}{
		{"well", nil, http.StatusOK, "healthy"},
		{"sick", map[string]string{"APP_SICK": "true"}, http.StatusServiceUnavailable, "sick: the database does not answer"},
		{"healthy though its pages are broken", map[string]string{"APP_BROKEN": "true"}, http.StatusOK, "healthy"},
		{"redirect", map[string]string{"APP_REDIRECT": "true"}, http.StatusFound, "Found"},
	} {
		status, body, header := ask(t, read(t, nil, c.env), "/up")
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s: %d %q", c.name, status, body)
		}
		if c.name == "redirect" && header.Get("Location") != "https://example.com/up" {
			t.Errorf("redirects to %q", header.Get("Location"))
		}
	}
}

func TestAVariableCanBeAskedFor(t *testing.T) {
	t.Setenv("APP_TEST_VARIABLE", "two words")
	if status, body, _ := ask(t, settings{}, "/env?name=APP_TEST_VARIABLE"); status != http.StatusOK || body != "two words" {
		t.Errorf("%d %q", status, body)
	}
	if status, _, _ := ask(t, settings{}, "/env?name=APP_TEST_MISSING"); status != http.StatusNotFound {
		t.Errorf("a missing variable answers %d", status)
	}
}

func TestSlowTakesAsLongAsAskedAndNoLongerThanItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for asked, wanted := range map[string]time.Duration{"1500": 1500 * time.Millisecond, "900000": slowLimit} {
			begin := time.Now()
			status, _, _ := ask(t, settings{}, "/slow?ms="+asked)
			if took := time.Since(begin); status != http.StatusOK || took != wanted {
				t.Errorf("%s ms: status %d after %s", asked, status, took)
			}
		}
	})
}

func TestACrashHasItsExitCodeAndItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			env  map[string]string
			code int
			took time.Duration
		}{
			{map[string]string{"APP_CRASH": "3"}, 3, 0},
			{map[string]string{"APP_CRASH": "3", "APP_START_DELAY": "9s"}, 3, 0},
			{map[string]string{"APP_CRASH_AFTER": "2s"}, 1, 2 * time.Second},
			{map[string]string{"APP_CRASH_AFTER": "2s", "APP_CRASH": "4", "APP_START_DELAY": "1s"}, 4, 3 * time.Second},
		} {
			begin := time.Now()
			code := serve(t.Context(), read(t, []string{"worker"}, c.env))
			if took := time.Since(begin); code != c.code || took != c.took {
				t.Errorf("%v: exit code %d after %s", c.env, code, took)
			}
		}
	})
}

func TestAWorkerEndsWellWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if code := serve(ctx, read(t, nil, map[string]string{"APP_MODE": "worker"})); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestARequestInFlightIsFinishedBeforeTheAppEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	slowly := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		fmt.Fprint(w, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serveOn(ctx, listener, slowly) }()

	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-begun
	cancel()
	// The listener closes at once, and only then may the request end.
	for connects(listener.Addr().String()) {
		runtime.Gosched()
	}
	close(finish)
	if body := <-answered; body != "done" {
		t.Errorf("the request in flight got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func connects(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func TestABadSettingNamesItsVariable(t *testing.T) {
	for name, value := range map[string]string{"APP_PORT": "x", "APP_SICK": "maybe", "APP_START_DELAY": "5", "APP_MEMORY": "-1", "APP_MODE": "job"} {
		_, err := readSettings(func(n string) (string, bool) { return value, n == name }, nil)
		if err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestTheHealthyCommandSpeaksForTheMode(t *testing.T) {
	port := fmt.Sprint(freePort(t))
	for _, c := range []struct {
		env  map[string]string
		code int
	}{
		{map[string]string{"APP_PORT": port}, 1}, // nobody listens
		{map[string]string{"APP_MODE": "worker"}, 0},
		{map[string]string{"APP_MODE": "worker", "APP_SICK": "true"}, 1},
	} {
		if code := checkHealth(read(t, []string{"healthy"}, c.env)); code != c.code {
			t.Errorf("%v: exit code %d", c.env, code)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
