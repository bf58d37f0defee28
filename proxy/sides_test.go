package proxy

import (
	"net/http"
	"testing"
)

// sidesOf is what inspect says of both sides of the rollout of "app", once that many requests are counted: a client has its answer
// before the proxy has counted it.
func (f *fixture) sidesOf(requests int64) *SidesInfo {
	f.t.Helper()
	var counts *SidesInfo
	eventually(f.t, "every request is counted", func() bool {
		i, err := f.router.Inspect("app")
		if err != nil {
			f.t.Fatal(err)
		}
		counts = i.Sides
		return counts == nil || counts.Active.Requests+counts.Rollout.Requests >= requests
	})
	return counts
}

func TestBothSidesOfARolloutAreCountedWhileItLasts(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	f.ask(http.MethodGet, "/")
	if counts := f.sidesOf(0); counts != nil {
		t.Errorf("without a rollout the sides are %+v", *counts)
	}
	sickly := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	f.rollOut(sickly)
	f.split(Split{Percent: 0, List: []string{"new"}})
	for range 3 {
		f.ask(http.MethodGet, "/")
		f.ask(http.MethodGet, "/", "Cookie", "kamal-rollout=new")
		broken := f.request(http.MethodGet, "app.test", "/broken", nil)
		broken.Header.Set("Cookie", "kamal-rollout=new")
		f.do(broken)
	}
	if got, want := *f.sidesOf(9), (SidesInfo{SideInfo{3, 0}, SideInfo{6, 3}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	f.split(Split{Percent: 0, List: []string{"new", "newer"}})
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	if got := *f.sidesOf(9); got.Rollout.Requests != 6 {
		t.Errorf("another share and another deploy have left %+v", got)
	}
	f.rollOut(backend(t, says("newest")))
	if got := *f.sidesOf(0); got != (SidesInfo{}) {
		t.Errorf("another rollout begins with %+v", got)
	}
	if err := f.stopRollout("app", 0); err != nil {
		t.Fatal(err)
	}
	if counts := f.sidesOf(0); counts != nil {
		t.Errorf("after the rollout the sides are %+v", *counts)
	}
}

func TestATargetOfARolloutThatDoesNotAnswerCountsAsItsError(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	f.rollOut(backend(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	f.split(Split{Percent: 100})
	f.do(f.request(http.MethodPost, "app.test", "/", nil))
	if got, want := *f.sidesOf(1), (SidesInfo{Rollout: SideInfo{1, 1}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
