package runlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// File is a log file of one run. It is made with the first event that changes something, so that a run with nothing to do leaves
// none. Its methods are safe for concurrent use.
type File struct {
	dir string
	run Run

	mu     sync.Mutex
	before []Entry // what came before the file was made
	file   *os.File
	err    error // the first that happened; then nothing more is written
}

// NewFile logs a run into a directory, which is made when it is missing.
func NewFile(dir string, run Run) *File { return &File{dir: dir, run: run} }

// Write takes an event.
func (f *File) Write(e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil && e.mild() {
		f.before = append(f.before, e)
		return
	}
	f.begin()
	f.entry(e)
}

// End writes how the run came out, and gives the file's name; "" when there was nothing to log. The error is of writing it.
func (f *File) End(end Ending) (name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil && end.Err != nil {
		f.begin()
	}
	if f.file == nil {
		return "", f.err
	}
	took := end.At.Sub(f.run.Began).Seconds()
	if end.Err != nil {
		f.line("# FAILED: %s (%.1fs)", oneLine(end.Err.Error()), took)
	} else {
		f.line("# Completed in %.1fs: %s%s", took, end.Outcome, numbered(end.Release))
	}
	f.err = errors.Join(f.err, f.file.Close())
	return f.file.Name(), f.err
}

func numbered(release int) string {
	if release == 0 {
		return ""
	}
	return fmt.Sprintf(", release %d", release)
}

// begin makes the file, once, and writes what came before it.
func (f *File) begin() {
	if f.file != nil || f.err != nil {
		return
	}
	if f.err = os.MkdirAll(f.dir, 0o755); f.err != nil {
		return
	}
	if f.file, f.err = f.create(); f.err != nil {
		return
	}
	what := strings.TrimSuffix(f.run.Service+"/"+f.run.Destination, "/")
	f.line("# kamald %s: %s of %s %s by %s, run %s", f.run.Kamald, f.run.Command, what, f.run.Version, f.run.Performer, f.run.ID)
	for _, e := range f.before {
		f.entry(e)
	}
	f.before = nil
}

// create finds a name that is not taken: two runs may begin in one second.
func (f *File) create() (*os.File, error) {
	stem := f.run.Began.UTC().Format("2006-01-02T15-04-05") + "_"
	if f.run.Destination != "" {
		stem += f.run.Destination + "_"
	}
	stem += f.run.Command
	for n := 1; ; n++ {
		name := stem + ".log"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.log", stem, n)
		}
		file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

func (f *File) entry(e Entry) {
	where := e.Host
	if where == "" {
		where = "-"
	}
	message := oneLine(e.Message)
	if e.Kind == "done" {
		message += fmt.Sprintf(" (%.1fs)", e.Took.Seconds())
	}
	f.line("%s %s %s %s", e.At.UTC().Format(time.RFC3339), where, e.Kind, message)
}

// line writes one, at once and by one call: a run may be killed.
func (f *File) line(format string, args ...any) {
	if f.err == nil {
		_, f.err = fmt.Fprintf(f.file, format+"\n", args...)
	}
}
