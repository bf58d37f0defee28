package main

import (
	"strings"
	"testing"
)

const passing = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise of a test that passes\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":0.2}
`

func summary(t *testing.T, events string) (string, bool) {
	t.Helper()
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	ok := r.close()
	return out.String(), ok
}

func TestAPassingRunIsQuietAndSucceeds(t *testing.T) {
	text, ok := summary(t, passing)
	if !ok || !strings.Contains(text, "1 passed, 0 failed, 0 skipped") || strings.Contains(text, "noise") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
	if !strings.Contains(text, "no test was left out") {
		t.Errorf("it does not say that all was run:\n%s", text)
	}
}

func TestATestThatWasNotRunIsNamedWithItsReason(t *testing.T) {
	text, ok := summary(t, passing+`{"Action":"output","Package":"q","Test":"TestLab","Output":"    x_test.go:3: NOT RUN: no Docker engine\n"}
{"Action":"skip","Package":"q","Test":"TestLab"}
{"Action":"pass","Package":"q"}
`)
	if !ok || !strings.Contains(text, "NOT RUN, so nothing is known about what they check: 1 of") || !strings.Contains(text, "q TestLab: no Docker engine") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}

func TestATestThatMayBeLeftOutIsCountedAndFailsNothing(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.whole = true
	const name = "TestTraefikItselfServesByTheDriversFiles"
	err := r.read(strings.NewReader(passing + `{"Action":"output","Package":"github.com/kamald/kamald/drivers/traefik","Test":"` + name + `","Output":"NOT RUN: no image\n"}
{"Action":"skip","Package":"github.com/kamald/kamald/drivers/traefik","Test":"` + name + `"}
`))
	if err != nil {
		t.Fatal(err)
	}
	ok, text := r.close(), out.String()
	if !ok || !strings.Contains(text, "LEFT OUT, and allowed to be: 1\n") || !strings.Contains(text, name+": no image") || strings.Contains(text, "no test was left out") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}

func TestAFailureIsPrintedWhole(t *testing.T) {
	text, ok := summary(t, passing+`{"Action":"output","Package":"q","Test":"TestB","Output":"    got 1, want 2\n"}
{"Action":"fail","Package":"q","Test":"TestB"}
{"Action":"fail","Package":"q"}
`)
	if ok || !strings.Contains(text, "got 1, want 2") || !strings.Contains(text, "FAILED:\n  q TestB\n") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}

func TestABuildThatFailsFailsTheRun(t *testing.T) {
	text, ok := summary(t, passing+`{"ImportPath":"q [q.test]","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"ImportPath":"q [q.test]","Action":"build-fail"}
{"Action":"fail","Package":"q","FailedBuild":"q [q.test]"}
`)
	if ok || !strings.Contains(text, "undefined: x") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}

func TestATestThatPanickedOrTimedOutIsPrinted(t *testing.T) {
	text, ok := summary(t, passing+`{"Action":"output","Package":"q","Test":"TestB","Output":"panic: test timed out\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq\n"}
{"Action":"fail","Package":"q"}
`)
	if ok || !strings.Contains(text, "TestB did not end") || !strings.Contains(text, "panic: test timed out") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}

func TestARunWithoutTestsFails(t *testing.T) {
	if text, ok := summary(t, ""); ok {
		t.Errorf("it succeeded:\n%s", text)
	}
}

func TestATestThatIsLeftToTheLongRunIsNamed(t *testing.T) {
	text, ok := summary(t, passing+`{"Action":"output","Package":"q","Test":"TestLab","Output":"    x_test.go:3: ONLY LONG: make long runs it\n"}
{"Action":"skip","Package":"q","Test":"TestLab"}
`)
	if !ok || !strings.Contains(text, "LEFT TO `make long`: 1\n  q TestLab\n") {
		t.Errorf("succeeded: %v\n%s", ok, text)
	}
}
