package proxy

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// startRollout is a service "app" whose own target says "old", with a rollout target that says "new".
func startRollout(t *testing.T, split Split) *fixture {
	t.Helper()
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	f.rollOut(backend(t, says("new")))
	f.split(split)
	return f
}

func (f *fixture) rollOut(target string) {
	f.t.Helper()
	err := f.router.RolloutDeploy(f.t.Context(), rolloutRequest(target))
	if err != nil {
		f.t.Fatalf("deploying the rollout: %v", err)
	}
}

func rolloutRequest(target string) RolloutDeployRequest {
	return RolloutDeployRequest{Service: "app", Targets: []string{target}, DeployTimeout: patience, DrainTimeout: patience}
}

func (f *fixture) split(p Split) {
	f.t.Helper()
	if err := f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: p}); err != nil {
		f.t.Fatalf("splitting: %v", err)
	}
}

// selected counts how many of the requests that make returns get "new".
func (f *fixture) selected(n int, make func(i int) (headers []string)) (count int) {
	f.t.Helper()
	for i := range n {
		if body, _ := f.ask(http.MethodGet, "/", make(i)...); body == "new" {
			count++
		}
	}
	return count
}

func TestARolloutGetsNoRequestUntilItIsSet(t *testing.T) {
	f := startProxy(t)
	for name, err := range map[string]error{
		"deploy": f.router.RolloutDeploy(t.Context(), rolloutRequest(nobody(t))),
		"set":    f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 1}}),
		"stop":   f.stopRollout("app", 0),
	} {
		if err != ErrServiceNotFound {
			t.Errorf("rollout %s of an unknown service said %v", name, err)
		}
	}
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	if err := f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 100}}); err == nil || err.Error() != "rollout target not set" {
		t.Errorf("set said %v", err)
	}
	f.rollOut(backend(t, says("new")))
	f.expectAnswer("old", http.MethodGet, "Cookie", "kamal-rollout=user1")
	f.split(Split{Percent: 100})
	f.expectAnswer("new", http.MethodGet)
	f.split(Split{Percent: 0})
	f.expectAnswer("old", http.MethodGet)
	f.expectAnswer("old", http.MethodGet, "Cookie", "kamal-rollout=user1")
}

func TestValuesThatAreAlikeAreSplitEvenly(t *testing.T) {
	for name, value := range map[string]func(i int) string{
		"user%d":   func(i int) string { return fmt.Sprintf("user%d", i+1) },
		"%d":       func(i int) string { return fmt.Sprint(1000 + i) },
		"10.0.0.x": func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/100, i%100) },
		"uuid": func(i int) string {
			var id [16]byte
			binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
			binary.BigEndian.PutUint64(id[8:], uint64(i)*0xbf58476d1ce4e5b9)
			return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		},
	} {
		counts := map[int]int{}
		const n = 2000
		for i := range n {
			was := false
			for percent := 0; percent <= 100; percent += 10 {
				is := (&Split{Percent: percent}).has(value(i))
				if was && !is {
					t.Fatalf("%s: value %d leaves the share as it grows to %d %%", name, i, percent)
				}
				if was = is; is {
					counts[percent]++
				}
			}
		}
		for percent := 0; percent <= 100; percent += 10 {
			if got, want := float64(counts[percent])/n*100, float64(percent); got < want-4 || got > want+4 {
				t.Errorf("%s: %d %% gave %.1f %%", name, percent, got)
			}
		}
	}
}

func TestTheAppsCookieDecidesByListAndPercent(t *testing.T) {
	f := startRollout(t, Split{Percent: 30, List: []string{"boss"}})
	user := func(i int) []string {
		return []string{"Cookie", fmt.Sprintf("kamal-rollout=user%d; kamald-rollout=x", i+1)}
	}
	if n := f.selected(200, user); n < 50 || n > 70 {
		t.Errorf("30 %% of user1 to user200 are %d", n)
	}
	f.expectAnswer("new", http.MethodGet, "Cookie", "kamal-rollout=boss")
	if _, head := f.ask(http.MethodGet, "/", user(0)...); head.Get("Set-Cookie") != "" {
		t.Errorf("beside the app's cookie the proxy set %s", head.Get("Set-Cookie"))
	}
	f.split(Split{List: []string{"boss"}})
	if n := f.selected(50, user); n != 0 {
		t.Errorf("without a percentage %d were selected", n)
	}
	f.expectAnswer("new", http.MethodGet, "Cookie", "kamal-rollout=boss")
}

func TestAClientStaysOnItsSideWithoutTheAppsHelp(t *testing.T) {
	f := startRollout(t, Split{Percent: 50})
	sides := map[string]int{}
	for range 60 {
		side, head := f.ask(http.MethodGet, "/")
		sides[side]++
		set := head.Get("Set-Cookie")
		for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
			if !strings.Contains(set, want) {
				t.Fatalf("the cookie %q has no %s", set, want)
			}
		}
		if len(head["Set-Cookie"]) != 1 || strings.Contains(set, "Max-Age") || strings.Contains(set, "Secure") {
			t.Fatalf("the cookie is %q", set)
		}
		cookie := cookieOf(head, "kamald-rollout")
		for range 3 {
			again, head := f.ask(http.MethodGet, "/", "Cookie", cookie)
			if again != side || head.Get("Set-Cookie") != "" {
				t.Fatalf("%s went to %s and then to %s, with %q", cookie, side, again, head.Get("Set-Cookie"))
			}
		}
	}
	if sides["new"] < 12 || sides["new"] > 48 {
		t.Errorf("50 %% of 60 clients are %v", sides)
	}
	f.split(Split{Percent: 50, CookieMaxAge: time.Hour})
	if _, head := f.ask(http.MethodGet, "/"); !strings.Contains(head.Get("Set-Cookie"), "Max-Age=3600") {
		t.Errorf("the cookie is %q", head.Get("Set-Cookie"))
	}
}

func TestTheCookieIsSecureOverTLS(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
	if c := (&Split{}).newCookie(r); !c.Secure {
		t.Errorf("the cookie is %v", c)
	}
}

func TestNoCookieIsSetOnAnswersThatCachesShare(t *testing.T) {
	f := startProxy(t)
	shared := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=9, PUBLIC") }
	f.deploy(deployRequest("app", backend(t, shared), "app.test"))
	f.rollOut(backend(t, shared))
	f.split(Split{Percent: 50})
	if _, head := f.ask(http.MethodGet, "/"); head.Get("Set-Cookie") != "" {
		t.Errorf("the answer sets %s", head.Get("Set-Cookie"))
	}
}

func TestASplitByAddressNeedsNoCookie(t *testing.T) {
	f := startRollout(t, Split{Percent: 40, By: RolloutByAddress})
	from := func(address string) string {
		body, head := f.ask(http.MethodGet, "/", "X-Forwarded-For", address+", 10.9.9.9")
		if head.Get("Set-Cookie") != "" {
			t.Fatalf("the answer sets %s", head.Get("Set-Cookie"))
		}
		return body
	}
	selected := 0
	for i := range 100 {
		v4, v6 := fmt.Sprintf("203.0.113.%d", i), fmt.Sprintf("2001:db8:0:%x", i)
		if first, again := from(v4), from(v4); first != again || from(v6+"::1") != from(v6+":aaaa:bbbb:cccc:dddd") {
			t.Errorf("client %d changed sides", i)
		}
		if from(v4) == "new" {
			selected++
		}
	}
	if selected < 22 || selected > 58 {
		t.Errorf("40 %% of 100 addresses are %d", selected)
	}
}

func TestASplitByAddressReadsTheClientsAddressAsTheTargetsGetIt(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("old")), "app.test")
	req.Options.ClientIPHeader = "X-Client"
	f.deploy(req)
	f.rollOut(backend(t, says("new")))
	f.split(Split{Percent: 50, By: RolloutByAddress})
	from := func(text string) string {
		body, _ := f.ask(http.MethodGet, "/", "X-Client", text, "X-Forwarded-For", "198.51.100.7")
		return body
	}
	noAddress := from("")
	for i := range 20 {
		v4, v6 := fmt.Sprintf("203.0.113.%d", i), fmt.Sprintf("2001:db8:0:%x::1", i)
		for _, same := range []string{v4 + ":5001", v4 + ":61234", "  " + v4} {
			if got, want := from(same), from(v4); got != want {
				t.Errorf("%q is at %s, %q at %s", same, got, v4, want)
			}
		}
		for _, same := range []string{"[" + v6 + "]:5001", "[" + v6 + "]:61234", "[" + v6 + "]"} {
			if got, want := from(same), from(v6); got != want {
				t.Errorf("%q is at %s, %q at %s", same, got, v6, want)
			}
		}
		if got := from(fmt.Sprintf("unknown-%d", i)); got != noAddress {
			t.Errorf("what is no address moved the client from %s to %s", noAddress, got)
		}
	}
}

func TestAHeaderSelectsTheRollout(t *testing.T) {
	f := startRollout(t, Split{Headers: []string{"X-Beta=yes, please", "X-Tester=1"}})
	f.expectAnswer("old", http.MethodGet)
	f.expectAnswer("old", http.MethodGet, "X-Beta", "yes")
	f.expectAnswer("new", http.MethodGet, "X-Beta", "yes, please")
	f.expectAnswer("new", http.MethodGet, "x-tester", "1", "Cookie", "kamal-rollout=nobody")
}

func TestARolloutSurvivesDeploysOfTheServiceAndRestarts(t *testing.T) {
	f := startRollout(t, Split{Percent: 25, List: []string{"boss"}, Headers: []string{"X-Beta=1"}, By: RolloutByAddress, CookieMaxAge: time.Minute})
	req := deployRequest("app", backend(t, says("newer")), "app.test", "also.test")
	req.Options.PathPrefixes = []string{"/api"}
	f.deploy(req)
	check := func() {
		t.Helper()
		if body, _ := f.ask(http.MethodGet, "/api/x", "X-Beta", "1"); body != "new" {
			t.Errorf("the rollout's client got %q", body)
		}
		if body, _ := f.ask(http.MethodGet, "/api/x", "Cookie", "kamal-rollout=nobody-at-all"); body != "newer" {
			t.Errorf("the others got %q", body)
		}
	}
	check()
	before, err := os.ReadFile(f.config.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	check()
	if got := f.router.List()[0].Rollout; got == nil || asJSON(t, got.Split) != asJSON(t, Split{25, []string{"boss"}, []string{"X-Beta=1"}, RolloutByAddress, time.Minute}) {
		t.Errorf("list says %+v", got)
	}
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(f.config.StatePath); err != nil || string(after) != string(before) {
		t.Errorf("the state is another after the restart, %v:\n%s\n%s", err, before, after)
	}
}

func TestAStoppedRolloutIsDrainedAndForgotten(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	target, arrived, finish := heldBackend(t, "", "new")
	f.rollOut(target)
	f.split(Split{Percent: 100})
	answered := make(chan string, 1)
	go func() {
		_, body := f.get("app.test", "/")
		answered <- body
	}()
	receive(t, "the slow request", arrived)
	stopped := make(chan error, 1)
	go func() { stopped <- f.stopRollout("app", 0) }()
	eventually(t, "the rollout is gone", func() bool { return f.router.List()[0].Rollout == nil })
	f.expectAnswer("old", http.MethodGet)
	select {
	case err := <-stopped:
		t.Fatalf("stop returned (%v) while a request was in flight", err)
	default:
	}
	close(finish)
	if got := receive(t, "the slow answer", answered); got != "new" {
		t.Errorf("the slow request got %q", got)
	}
	if err := receive(t, "stop", stopped); err != nil {
		t.Error(err)
	}
	if err := f.stopRollout("app", 0); err != nil {
		t.Errorf("stopping again: %v", err)
	}
	if err := f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 5}}); err != errNoRolloutTarget {
		t.Errorf("set said %v", err)
	}
	f = f.restart()
	if f.router.List()[0].Rollout != nil {
		t.Error("it is back after a restart")
	}
}

func TestAFailingRolloutDeployChangesNothingAndNamesTheCause(t *testing.T) {
	f := startRollout(t, Split{Percent: 100})
	unwell, _ := sick(t, http.StatusInternalServerError, "no migration")
	req := rolloutRequest(unwell)
	req.DeployTimeout = 200 * time.Millisecond
	err := f.router.RolloutDeploy(t.Context(), req)
	if err == nil || !strings.Contains(err.Error(), "no migration") {
		t.Errorf("the deploy said %v", err)
	}
	f.expectAnswer("new", http.MethodGet)
}

func TestClientsOfARolloutThatIsDeadAreServedByTheActiveTargets(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	target := httptest.NewServer(says("new"))
	f.rollOut(target.Listener.Addr().String())
	f.split(Split{Percent: 100})
	f.expectAnswer("new", http.MethodGet)
	target.Close()
	for range 3 { // not POST, which is not sent again when a kept connection turns out to be closed
		f.expectAnswer("old", http.MethodGet)
	}
	eventually(t, "list says unhealthy", func() bool { return !f.router.List()[0].Rollout.Targets[0].Healthy })
	f.expectAnswer("old", http.MethodGet)
}

func TestPauseStopAndRemoveDrainTheRolloutToo(t *testing.T) {
	f := startRollout(t, Split{Percent: 100})
	if err := f.stop("app", patience, ""); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusServiceUnavailable, "")
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	f.expectAnswer("new", http.MethodGet)
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusNotFound, "")
	f.deploy(deployRequest("app", backend(t, says("again")), "app.test"))
	if f.router.List()[0].Rollout != nil {
		t.Error("the rollout came back with the service")
	}
}

func TestANewerRolloutDeployAStopAndARemoveEndTheOneThatWaits(t *testing.T) {
	for want, end := range map[string]func(f *fixture) error{
		"a newer deploy of service app": func(f *fixture) error { f.rollOut(backend(t, says("newest"))); return nil },
		"was stopped while":             func(f *fixture) error { return f.stopRollout("app", 0) },
		"was removed while":             func(f *fixture) error { return f.remove("app") },
	} {
		t.Run(want, func(t *testing.T) {
			f := startRollout(t, Split{Percent: 100})
			waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
			ended := make(chan error, 1)
			go func() { ended <- f.router.RolloutDeploy(t.Context(), rolloutRequest(waiting)) }()
			eventually(t, "it probes", func() bool { return probes.Load() > 0 })
			// A deploy of the service proper is another matter.
			f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
			if err := end(f); err != nil {
				t.Fatal(err)
			}
			if err := receive(t, "the deploy", ended); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it said %v", err)
			}
		})
	}
}
