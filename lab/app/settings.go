package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// version is what an image without APP_VERSION and without a version file runs; set it with
// -ldflags "-X main.version=v1".
var version = "dev"

// versionFile is baked by images that carry a version of their own.
const versionFile = "/version"

const (
	modeWeb     = "web"
	modeWorker  = "worker"
	modeHealthy = "healthy"
)

type settings struct {
	version    string
	mode       string
	worker     bool // what APP_MODE says, also for the `healthy` command
	role       string
	port       int
	startDelay time.Duration
	sick       bool
	broken     bool
	redirect   bool
	crash      bool
	crashCode  int
	crashAfter time.Duration
	memoryMiB  int
	logLines   int
}

// readSettings reads the APP_ variables and the command; a value that does not parse is an error that names the
// variable.
func readSettings(lookup func(string) (string, bool), args []string) (settings, error) {
	r := reader{lookup: lookup}
	s := settings{
		version:    r.text("APP_VERSION", bakedVersion()),
		mode:       r.text("APP_MODE", modeWeb),
		port:       r.number("APP_PORT_WRONG", r.number("APP_PORT", 3000)),
		startDelay: r.duration("APP_START_DELAY"),
		sick:       r.flag("APP_SICK"),
		broken:     r.flag("APP_BROKEN"),
		redirect:   r.flag("APP_REDIRECT"),
		crashCode:  r.number("APP_CRASH", 1),
		crashAfter: r.duration("APP_CRASH_AFTER"),
		memoryMiB:  r.number("APP_MEMORY", 0),
		logLines:   r.number("APP_LOG", 0),
	}
	s.crash = r.text("APP_CRASH", "") != "" || s.crashAfter > 0
	s.worker = s.mode == modeWorker
	if len(args) > 0 {
		s.mode = args[0]
	}
	s.role = r.text("APP_ROLE", s.mode)
	if s.mode != modeWeb && s.mode != modeWorker && s.mode != modeHealthy {
		r.fail("mode %q is none of web, worker, healthy", s.mode)
	}
	return s, r.err
}

func bakedVersion() string {
	if text, err := os.ReadFile(versionFile); err == nil {
		return strings.TrimSpace(string(text))
	}
	return version
}

// reader keeps the first error, so that settings are read in one expression.
type reader struct {
	lookup func(string) (string, bool)
	err    error
}

func (r *reader) text(name, fallback string) string {
	if value, ok := r.lookup(name); ok && value != "" {
		return value
	}
	return fallback
}

func (r *reader) number(name string, fallback int) int {
	text := r.text(name, "")
	if text == "" {
		return fallback
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 0 {
		r.fail("%s=%q is not a whole number from 0 up", name, text)
	}
	return number
}

func (r *reader) duration(name string) time.Duration {
	text := r.text(name, "0s")
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		r.fail("%s=%q is not a duration such as 2s", name, text)
	}
	return d
}

func (r *reader) flag(name string) bool {
	text := r.text(name, "false")
	value, err := strconv.ParseBool(text)
	if err != nil {
		r.fail("%s=%q is neither true nor false", name, text)
	}
	return value
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("app: "+format, args...)
	}
}
