package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func simulatedStory(t *testing.T) (*story, *simStage, *strings.Builder) {
	t.Helper()
	dir, out := t.TempDir(), &strings.Builder{}
	place, err := newSimStage(dir, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := place.Clean(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &story{stage: place, out: out, dir: dir, file: filepath.Join(dir, "deploy.hcl")}, place, out
}

func TestTheStoryComesTrueOnSimulatedHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, out := simulatedStory(t)
		if err := s.tell(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := strings.Count(out.String(), "failed: 0"); got == 0 || s.checks == 0 {
			t.Errorf("nothing was checked:\n%s", out)
		}
	})
}

// healthyV3 plays with a third version that is not broken at all.
type healthyV3 struct{ *simStage }

func (h healthyV3) Build(ctx context.Context, version string, _ bool) error {
	return h.simStage.Build(ctx, version, false)
}

func TestTheStoryFailsWhenAnExpectationIsNotMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, place, out := simulatedStory(t)
		s.stage = healthyV3{place}
		if err := s.tell(t.Context()); err == nil || !strings.Contains(out.String(), "✗") {
			t.Fatalf("a version that should be broken was deployed, and the story says %v\n%s", err, out)
		}
	})
}

func TestTheClientCountsEveryRequestAndFailure(t *testing.T) {
	asked := 0
	c := newClient(t.Context(), func(context.Context) (string, error) {
		if asked++; asked%2 == 0 {
			return "", errors.New("refused")
		}
		return "v1", nil
	})
	if err := c.atLeast(4); err != nil {
		t.Fatal(err)
	}
	got := c.stop()
	if got.sent != asked || got.failed != asked/2 || got.by["v1"] != asked-asked/2 || got.first == nil {
		t.Errorf("asked %d times, counted %s", asked, got)
	}
}

func TestAWaitForTheClientEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(ctx, func(context.Context) (string, error) { return "v1", nil })
	time.AfterFunc(time.Millisecond, cancel)
	if err := c.atLeast(clientLimit); err == nil {
		t.Error("it waited for requests that nobody sends any more")
	}
	c.stop()
}
