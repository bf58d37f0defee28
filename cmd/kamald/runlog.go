package main

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kamald/kamald/drivers/runlog"
	"github.com/kamald/kamald/reconcile"
)

// runLogs are where a run is logged to besides the terminal: what the output block of the file says.
type runLogs struct {
	program   *program
	file      *runlog.File      // nil: none
	collector *runlog.Collector // nil: none
}

// startLogs logs the session's events from here on.
func (p *program) startLogs(s *session) *runLogs {
	l := &runLogs{program: p}
	output := s.desired.Output
	run := runlog.Run{
		ID: rand.Text()[:16], Command: p.running, Service: s.desired.Service, Destination: s.desired.Destination, Version: s.desired.Version,
		Performer: s.Owner.Who + "@" + s.Owner.Where(), Kamald: version, Began: time.Now(),
	}
	if output.Dir != "" {
		l.file = runlog.NewFile(logDirectory(p.flags.file, output.Dir), run)
	}
	if output.OTel != "" {
		l.collector = runlog.NewCollector(output.OTel, run)
	}
	shown := s.Report
	s.Report = func(event reconcile.Progress) {
		l.write(event)
		shown(event)
	}
	return l
}

// logDirectory is relative to the file, or to the home.
func logDirectory(file, dir string) string {
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(filepath.Dir(file), dir)
}

func (l *runLogs) write(event reconcile.Progress) {
	if !logged(event) {
		return
	}
	entry := entryOf(event)
	if l.file != nil {
		l.file.Write(entry)
	}
	if l.collector != nil {
		l.collector.Write(entry)
	}
}

// logged tells whether an event is kept. What passes is for who looks on, and what a container prints may have anything in it.
func logged(event reconcile.Progress) bool {
	return !event.Passing() && (event.Kind != "output" || event.Host == "")
}

// end closes the logs. One that could not be written is said, and fails nothing: what was to be done is done.
func (l *runLogs) end(report reconcile.Report, err error) {
	ending := endingOf(report, err)
	if l.file != nil {
		name, failed := l.file.End(ending)
		switch {
		case failed != nil:
			l.program.warn("the log file: %v", failed)
		case name != "":
			l.program.note("The log is in %s.", name)
		}
	}
	if l.collector != nil {
		if failed := l.collector.End(ending); failed != nil {
			l.program.warn("%v", failed)
		}
	}
}

// entryOf is an event as logs have it.
func entryOf(event reconcile.Progress) runlog.Entry {
	entry := runlog.Entry{At: event.At, Kind: event.Kind, Host: event.Host, Role: event.Role, Step: event.Step, Message: event.Message, Took: event.Took}
	if event.Err != nil {
		entry.Message = reconcile.Brief(event.Err)
	}
	return entry
}

// endingOf is how a run came out, as logs have it: what the application said last is for the terminal only.
func endingOf(report reconcile.Report, err error) runlog.Ending {
	if err != nil {
		err = errors.New(reconcile.Brief(err))
	}
	phases := make(map[string]string, len(report.Plan.Steps))
	for _, step := range report.Plan.Steps {
		phases[step.ID] = step.Phase.String()
	}
	return runlog.Ending{At: time.Now(), Outcome: string(report.Outcome), Release: report.Release, Version: report.Version, Err: err, Kind: string(report.Kind), Phases: phases}
}
