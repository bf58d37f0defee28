package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kamald/kamald/release"
)

// pollInterval is how often a file is looked at when nobody says that it changed: file systems over the network say nothing.
const pollInterval = 30 * time.Second

// settle is how long a change may take to be complete: whoever writes a file does so in several calls.
const settle = 300 * time.Millisecond

// File is the source of an app whose file lies on this machine.
type File struct {
	App  App
	Path string
	// Git tells at which commit the directory is, for files that read it; nil: they are refused.
	Git func(ctx context.Context, dir string) (release.Git, error)

	mu   sync.Mutex
	seen *lying // nil: nothing was read yet
}

// lying is what lay there when the file was read.
type lying struct {
	files  map[string][sha256.Size]byte // of what was read, the content by its path
	beside []string                     // the destinations' files
}

// Read implements Source.
func (f *File) Read(ctx context.Context) (Proposal, error) {
	p := Proposal{From: f.Path}
	if info, err := os.Stat(f.Path); err == nil {
		p.At = info.ModTime()
	}
	seen := &lying{files: map[string][sha256.Size]byte{}, beside: f.beside()}
	var err error
	p.Release, p.Warnings, err = f.App.load(f.Path, p.From, release.Options{
		ReadFile: func(path string) ([]byte, error) {
			data, err := os.ReadFile(path)
			seen.files[path] = sum(data, err)
			return data, err
		},
		ReadDir: release.ReadDir,
		Git: func() (release.Git, error) {
			if f.Git == nil {
				return release.Git{}, errors.New("the file is read as it lies, and of no repository")
			}
			return f.Git(ctx, filepath.Dir(f.Path))
		},
	})
	f.mu.Lock()
	f.seen = seen
	f.mu.Unlock()
	return p, err
}

// Watch implements Source: by what the file system says of the directory, for editors and links put another file in the file's place;
// and by looking now and then.
func (f *File) Watch(ctx context.Context, changed func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.watch(ctx, func() {}, nil, changed) // this machine has no more watches to give: looking must do
		return
	}
	defer func() { _ = w.Close() }()
	go func() {
		for range w.Errors { // an overflow is met by the next look
		}
	}()
	f.watch(ctx, func() { _ = w.Add(filepath.Dir(f.Path)) }, w.Events, changed)
}

// watch looks after each event, once what caused it is complete, and every pollInterval. begin is called before each wait, for a
// directory that was replaced is watched no more.
func (f *File) watch(ctx context.Context, begin func(), events <-chan fsnotify.Event, changed func()) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var settled <-chan time.Time
	begin()
	if f.moved() {
		changed() // between the last reading and now
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-events:
			if !open {
				events = nil
			} else if settled == nil {
				settled = time.After(settle)
			}
			continue
		case <-settled:
			settled = nil
		case <-poll.C:
		}
		begin()
		if f.moved() {
			changed()
		}
	}
}

// moved tells whether what lies there is something else than what was read.
func (f *File) moved() bool {
	f.mu.Lock()
	seen := f.seen
	f.mu.Unlock()
	if seen == nil || !slices.Equal(seen.beside, f.beside()) {
		return true
	}
	for path, was := range seen.files {
		if data, err := os.ReadFile(path); sum(data, err) != was {
			return true
		}
	}
	return false
}

// beside are the names of the destinations' files.
func (f *File) beside() []string {
	ext := filepath.Ext(f.Path)
	stem := strings.TrimSuffix(filepath.Base(f.Path), ext) + "."
	names, _ := release.ReadDir(filepath.Dir(f.Path)) // a directory that cannot be read has nothing beside the file
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, stem) || !strings.HasSuffix(name, ext) })
}

func sum(data []byte, err error) [sha256.Size]byte {
	if err != nil {
		return sha256.Sum256([]byte("\x00" + err.Error()))
	}
	return sha256.Sum256(data)
}
