package build

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
)

const (
	lastLines = 20  // of a builder's words, in the error
	lineLimit = 500 // bytes of one of them there
	keptLogs  = 20  // in a directory of kamald's own
	logEnding = "_build.log"
)

// Log is the file that one build is logged in, with what goes to the terminal besides. It lets no known secret through. Its methods
// are safe for concurrent use.
type Log struct {
	name string
	live io.Writer

	mu     sync.Mutex
	file   *os.File
	hide   []string // the values that are not to be seen, the longest first
	part   []byte   // a line that has not ended
	last   []string
	failed error // to write; the build goes on
}

// NewLog makes a log in a directory, which is made when it is missing. Own directories are kamald's alone: of the logs there only the
// newest are kept. What is logged goes to live, too, line by line.
func NewLog(dir, destination string, own bool, live io.Writer, began time.Time) (*Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the build's log: %w", err)
	}
	stem := began.UTC().Format("2006-01-02T15-04-05")
	if destination != "" {
		stem += "_" + destination
	}
	for n := 1; ; n++ {
		name := filepath.Join(dir, stem+logEnding)
		if n > 1 {
			name = filepath.Join(dir, fmt.Sprintf("%s-%d%s", stem, n, logEnding))
		}
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the build's log: %w", err)
		}
		if own {
			err = dropOld(dir)
		}
		return &Log{name: name, live: live, file: file}, err
	}
}

// Name is the file's.
func (l *Log) Name() string { return l.name }

// Hide keeps values out of the log and the terminal from here on, whoever prints them: as they are, line by line, and as base64.
func (l *Log) Hide(secrets ...release.Secret) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range secrets {
		value := secret.Reveal()
		for _, whole := range []string{value, strings.TrimSpace(value)} {
			l.hide = append(l.hide, base64.StdEncoding.EncodeToString([]byte(whole)), whole)
		}
		for line := range strings.Lines(value) {
			l.hide = append(l.hide, strings.TrimSpace(line)) // a program prints it with other line ends and indents than the value has
		}
	}
	// What is so short stands in any text, and to hide it there would only show where.
	l.hide = slices.DeleteFunc(l.hide, func(text string) bool { return len(strings.TrimSpace(text)) < 4 })
	slices.SortFunc(l.hide, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	l.hide = slices.Compact(l.hide)
}

// Write implements io.Writer. It never fails: a terminal that has gone away, or a full disk, ends no build.
func (l *Log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, data...)
	for {
		end := bytes.IndexByte(l.part, '\n')
		if end < 0 {
			return len(data), nil
		}
		l.line(string(l.part[:end]))
		l.part = l.part[end+1:]
	}
}

// Printf writes a line of kamald's own.
func (l *Log) Printf(format string, args ...any) {
	_, _ = fmt.Fprintf(l, format+"\n", args...) // it never fails
}

// Note writes a line into the file alone.
func (l *Log) Note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	l.write(l.hidden(fmt.Sprintf(format, args...)))
}

// Last are the last lines of what was written, for an error.
func (l *Log) Last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	return slices.Clone(l.last)
}

// Close ends the log. The error is of writing it.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	return errors.Join(l.failed, l.file.Close())
}

// flush takes what has not ended for a line.
func (l *Log) flush() {
	if len(l.part) > 0 {
		l.line(string(l.part))
		l.part = nil
	}
}

func (l *Log) line(text string) {
	text = l.hidden(strings.TrimRight(text, "\r"))
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:] // written over itself: the last state counts
	}
	_, _ = fmt.Fprintln(l.live, text) // a reader that has gone away is no failure of the build
	l.write(text)
	if strings.TrimSpace(text) == "" {
		return
	}
	if l.last = append(l.last, text[:min(len(text), lineLimit)]); len(l.last) > lastLines {
		l.last = l.last[1:]
	}
}

func (l *Log) write(text string) {
	if l.failed == nil {
		_, l.failed = fmt.Fprintln(l.file, text)
	}
}

func (l *Log) hidden(text string) string {
	for _, value := range l.hide {
		text = strings.ReplaceAll(text, value, release.Secret{}.String())
	}
	return text
}

// dropOld removes all logs of a directory but the newest; their names sort by time.
func dropOld(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*"+logEnding))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names[:max(0, len(names)-keptLogs)] {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("an old log: %w", err)
		}
	}
	return nil
}
