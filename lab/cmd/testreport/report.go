package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// mayBeLeftOut are the tests that may be left out also where nothing else may, each with the reason. They are counted and named in
// every report.
var mayBeLeftOut = map[string]string{
	"github.com/kamald/kamald/drivers/traefik TestTraefikItselfServesByTheDriversFiles": "Traefik's image comes from a registry that a test may not need",
	"github.com/kamald/kamald/drivers/build TestBuildKitWithinAnOlderClientGetsSecrets": "docker commands after 20.10 have no BuildKit within",
	"github.com/kamald/kamald/drivers/build TestBuildxGetsSecretsAndPassesOnWhatItMade": "buildx is a plugin of docker's that may not be installed; KAMALD_BUILDX names its program",
	"github.com/kamald/kamald/e2e TestBuildersOfBuildx":                                 "BuildKit's image comes from a registry that a test may not need; KAMALD_BUILDKIT names its programs",
}

// notRun begins the message of a skipped test that should have been run.
const notRun = "NOT RUN:"

// onlyLong begins the message of a test that `make long` runs and a shorter run leaves to it.
const onlyLong = "ONLY LONG:"

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Elapsed    float64
}

// report collects the events of a run and prints each package's verdict as it comes.
type report struct {
	out     io.Writer
	output  map[string]*strings.Builder // what each package, test and build has printed so far
	lines   []string                    // "NOT RUN" with the test's name
	allowed []string                    // the same, of tests that may be left out
	later   []string                    // tests that only a long run runs
	failed  []string
	passes  int
	fails   int
	skips   int
	whole   bool // nothing may be left out
	broken  bool // something failed that is no test: a build, or a package outside its tests
	figures figures
	slow    slowest
	reasons map[string]bool // reasons that were told already by the same test
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]*strings.Builder{}, reasons: map[string]bool{}, figures: figures{}}
}

// read takes the events of any number of runs after one another. Lines that are no events are passed on.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.take(e)
			} else {
				fmt.Fprintf(r.out, "%s\n", strings.TrimRight(string(line), "\n"))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the test's events: %w", err)
		}
	}
}

// close prints the sum and tells whether the run is a success.
func (r *report) close() bool {
	if len(r.failed) > 0 {
		fmt.Fprintf(r.out, "\nFAILED:\n  %s\n", strings.Join(r.failed, "\n  "))
	}
	if len(r.lines) > 0 {
		rule := strings.Repeat("!", 80)
		fmt.Fprintf(r.out, "\n%s\nNOT RUN, so nothing is known about what they check: %d of the tests\n  %s\n%s\n",
			rule, len(r.lines), strings.Join(r.lines, "\n  "), rule)
	} else if len(r.allowed) == 0 {
		fmt.Fprintf(r.out, "\nno test was left out\n")
	}
	if len(r.allowed) > 0 {
		fmt.Fprintf(r.out, "\nLEFT OUT, and allowed to be: %d\n  %s\n", len(r.allowed), strings.Join(r.allowed, "\n  "))
	}
	if len(r.later) > 0 {
		fmt.Fprintf(r.out, "\nLEFT TO `make long`: %d\n  %s\n", len(r.later), strings.Join(r.later, "\n  "))
	}
	r.slow.print(r.out)
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passes, r.fails, r.skips)
	if r.passes+r.fails == 0 {
		fmt.Fprintln(r.out, "no test was run")
	}
	if r.whole && len(r.lines) > 0 {
		fmt.Fprintln(r.out, "CI=true lets no test be left out")
		return false
	}
	return r.fails == 0 && r.passes > 0 && !r.broken
}

func (r *report) take(e event) {
	key := e.Package + e.ImportPath + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		b, ok := r.output[key]
		if !ok {
			b = &strings.Builder{}
			r.output[key] = b
		}
		b.WriteString(e.Output)
		return
	case "pass", "fail", "skip", "build-fail":
	default:
		return
	}
	said := ""
	if b, ok := r.output[key]; ok {
		said = b.String()
		delete(r.output, key)
	}
	switch {
	case e.Action == "build-fail":
		r.broken = true
		fmt.Fprint(r.out, said)
	case e.Test == "":
		r.endPackage(e, said)
	default:
		r.endTest(e, said)
	}
}

func (r *report) endPackage(e event, said string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok    %-56s %7.1f s\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(r.out, "-     %-56s no tests\n", e.Package)
	case "fail":
		r.broken = true
		fmt.Fprintf(r.out, "FAIL  %-56s %7.1f s\n%s", e.Package, e.Elapsed, said)
		r.unfinished(e.Package)
	}
}

// unfinished prints what the package's tests said that never ended: the reason for a panic or a timeout.
func (r *report) unfinished(pkg string) {
	for key, b := range r.output {
		if name, ok := strings.CutPrefix(key, pkg+"\x00"); ok && name != "" {
			fmt.Fprintf(r.out, "%s did not end:\n%s", name, b.String())
			r.failed = append(r.failed, pkg+" "+name)
			delete(r.output, key)
		}
	}
}

func (r *report) endTest(e event, said string) {
	r.slow.take(e)
	switch e.Action {
	case "pass":
		r.passes++
		r.figures.take(said)
	case "fail":
		r.fails++
		r.failed = append(r.failed, e.Package+" "+e.Test)
		fmt.Fprint(r.out, said)
	case "skip":
		r.skips++
	}
	if e.Action == "skip" && strings.Contains(said, onlyLong) {
		r.later = append(r.later, e.Package+" "+e.Test)
	}
	for line := range strings.Lines(said) {
		_, reason, found := strings.Cut(strings.TrimSpace(line), notRun)
		entry := e.Package + " " + e.Test + ":" + reason
		if found && !r.reasons[entry] {
			r.reasons[entry] = true
			if why, may := mayBeLeftOut[e.Package+" "+e.Test]; may {
				r.allowed = append(r.allowed, entry+" ("+why+")")
			} else {
				r.lines = append(r.lines, entry)
			}
		}
	}
}
