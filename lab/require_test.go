package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// judged records how a test was ended instead of ending it.
type judged struct {
	testing.TB
	skipped, failed string
}

func (j *judged) Helper() {}

func (j *judged) Skip(args ...any) { j.skipped = fmt.Sprint(args...); runtime.Goexit() }

func (j *judged) Skipf(format string, args ...any) { j.Skip(fmt.Sprintf(format, args...)) }

func (j *judged) Fatalf(format string, args ...any) {
	j.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func judge(t *testing.T, missing error) *judged {
	j := &judged{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		gate(j, missing)
	}()
	<-done
	return j
}

func TestATestWithoutAnEngineIsSkippedLoudlyAndFailsInCI(t *testing.T) {
	missing := errors.New("no engine")
	for _, c := range []struct {
		name, lab, ci   string
		missing         error
		skipped, failed bool
	}{
		{name: "an engine"},
		{name: "no engine", missing: missing, skipped: true},
		{name: "no engine in CI", ci: "true", missing: missing, failed: true},
		{name: "switched off", lab: "off", skipped: true},
		{name: "switched off in CI", lab: "off", ci: "true", missing: missing, skipped: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("KAMALD_LAB", c.lab)
			t.Setenv("CI", c.ci)
			j := judge(t, c.missing)
			if got := strings.HasPrefix(j.skipped, "NOT RUN: "); got != c.skipped || (j.failed != "") != c.failed {
				t.Errorf("skipped with %q, failed with %q", j.skipped, j.failed)
			}
		})
	}
}

func TestALeaseIsHeldByOneAndTheOtherIsToldByWhom(t *testing.T) {
	t.Setenv("KAMALD_LAB_DIR", t.TempDir())
	release, err := Acquire(t.Context(), "the first")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Acquire(ended, "the second"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the first") {
		t.Errorf("a held lease says %v", err)
	}
	release()
	again, err := Acquire(t.Context(), "the second")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestASubtestSharesTheLeaseOfItsTest(t *testing.T) {
	t.Setenv("KAMALD_LAB_DIR", t.TempDir())
	lease(t)
	t.Run("inside", func(t *testing.T) { lease(t) })
	// Were the subtest's lease its own, its end would have given the parent's back.
	ended, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
	defer cancel()
	if release, err := Acquire(ended, "a stranger"); err == nil {
		release()
		t.Error("a stranger gets the lease while the test runs")
	}
}

func TestThePasswordIsNeverPrinted(t *testing.T) {
	p := newPassword()
	l := Lab{Registry: Registry{Password: p}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{p, &p, l, &l} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, p.Reveal()) {
				t.Errorf("%s prints it: %s", format, text)
			}
		}
	}
}

func TestTheDescriptionSurvivesBeingSaved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KAMALD_LAB_DIR", dir)
	if _, err := Load(); err == nil {
		t.Fatal("an empty directory has a lab")
	}
	saved := newRecord(mustSubnet(t), 5001).lab(dir)
	if err := writeKeys(saved); err != nil {
		t.Fatal(err)
	}
	if err := saveState(saved); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(*loaded) != fmt.Sprint(*saved) || loaded.Registry.Password != saved.Registry.Password {
		t.Errorf("saved %v, loaded %v", saved, loaded)
	}
	if err := removeState(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWaitingForAHostEndsWithTheReasonOfTheLastTry(t *testing.T) {
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := waitUntil(ended, "the host", func(context.Context) error { return errors.New("connection refused") })
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}
