// Package image takes the archive of a saved image apart, keeps those of its layers that have to travel, and makes archives of
// them that an engine loads though the layers that it has already are not in them.
package image

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/kamald/kamald/state"
)

// Spool keeps layers of one image on this machine's disk, compressed, until it is closed. The zero value is ready. Fill and the
// readers of Archive may run side by side.
type Spool struct {
	// Dir is where the files lie; "" is the system's place for temporary files. They have no names: whatever ends the program
	// ends them.
	Dir string

	mu     sync.Mutex
	config config
	kept   map[string]blob  // by diff ID
	sizes  map[string]int64 // of every layer that was seen, uncompressed
	closed bool
}

// blob is a layer, compressed with gzip, in a file without a name.
type blob struct {
	file   *os.File
	packed int64
}

// What is read of an archive's JSON files at most.
const (
	jsonLimit  = 8 << 20  // one of them
	jsonsLimit = 64 << 20 // all that are kept at a time
)

// Fill reads the archive of one image, as an engine saves it, in Docker's own layout or an OCI one, its layers compressed or
// not. It keeps the configuration, and the layers that wanted names by their diff IDs; each is checked against its name. Filled
// again, with the same image, it keeps further ones.
func (s *Spool) Fill(ctx context.Context, archive io.Reader, wanted []string) error {
	f := &filling{spool: s, wanted: map[string]bool{}, documents: map[string][]byte{}, found: map[string]blob{}, sizes: map[string]int64{}}
	s.mu.Lock()
	for _, id := range wanted {
		if _, there := s.kept[id]; !there {
			f.wanted[id] = true
		}
	}
	s.mu.Unlock()
	err := f.read(ctx, archive)
	if err == nil {
		err = f.keep()
	}
	if err != nil {
		for _, b := range f.found {
			_ = b.file.Close() // it goes with its only name
		}
		return fmt.Errorf("the image that this machine's engine has saved: %w", err)
	}
	return nil
}

// Layers are the image's, lowest first, once it was filled. One that is not kept has no packed size; one that was never read
// no size either.
func (s *Spool) Layers() []state.Layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	layers := make([]state.Layer, len(s.config.RootFS.DiffIDs))
	for i, id := range s.config.RootFS.DiffIDs {
		layers[i] = state.Layer{ID: id, Size: s.sizes[id], Packed: s.kept[id].packed}
	}
	return layers
}

// Place is the directory whose file system takes what is kept.
func (s *Spool) Place() string { return cmp.Or(s.Dir, os.TempDir()) }

// Close gives the disk back. Readers of archives fail from then on.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, b := range s.kept {
		errs = append(errs, b.file.Close())
	}
	s.kept = nil
	return errors.Join(errs...)
}

// filling is one archive being read.
type filling struct {
	spool     *Spool
	wanted    map[string]bool
	documents map[string][]byte // JSON by its path
	total     int
	found     map[string]blob
	sizes     map[string]int64
}

func (f *filling) read(ctx context.Context, archive io.Reader) error {
	entries := tar.NewReader(archive)
	for {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it does not read as an archive: %w", err)
		case header.Typeflag != tar.TypeReg || header.Size == 0: // links are to layers that are there by themselves
			continue
		}
		if err := f.entry(path.Clean(header.Name), header.Size, &untilDone{ctx, entries}); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

// entry looks at a file: documents are kept, layers that are wanted too. What a layer is called in the archive tells nothing in
// Docker's own layout, so each is known by what is in it.
func (f *filling) entry(name string, size int64, content io.Reader) error {
	content, kind, err := sniff(content)
	if err != nil {
		return err
	}
	if kind == document {
		return f.document(name, size, content)
	}
	if digest, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && kind == plainLayer && !f.wanted["sha256:"+digest] {
		f.sizes["sha256:"+digest] = size
		return nil // its name is its digest, and nobody wants it
	}
	if len(f.wanted) == 0 {
		return nil
	}
	return f.layer(content)
}

func (f *filling) document(name string, size int64, content io.Reader) error {
	if size > jsonLimit || f.total+int(size) > jsonsLimit {
		return nil // no configuration is as large
	}
	data, err := io.ReadAll(content)
	f.documents[name], f.total = data, f.total+len(data)
	return err
}

// layer packs a layer into a file, and drops it when it is not one that is wanted.
func (f *filling) layer(content io.Reader) error {
	file, err := f.spool.file()
	if err != nil {
		return err
	}
	id, size, packed, err := pack(file, content)
	if err == nil {
		f.sizes[id] = size
		if f.wanted[id] && f.found[id].file == nil {
			f.found[id] = blob{file, packed}
			return nil
		}
	}
	_ = file.Close()
	return err
}

// file makes a file that has no name as soon as it is there.
func (s *Spool) file() (*os.File, error) {
	file, err := os.CreateTemp(s.Dir, "kamald-carry-")
	if err != nil {
		return nil, fmt.Errorf("keep a layer on this machine: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("keep a layer on this machine: %w", err)
	}
	return file, nil
}

// keep makes what was read the spool's, when nothing is missing.
func (f *filling) keep() error {
	read, err := configIn(f.documents)
	if err != nil {
		return err
	}
	for _, id := range read.RootFS.DiffIDs {
		if f.wanted[id] && f.found[id].file == nil {
			return fmt.Errorf("the layer %s is not in it, or is damaged there", id)
		}
		delete(f.wanted, id)
	}
	for id := range f.wanted {
		return fmt.Errorf("it has no layer %s", id)
	}
	s := f.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.config.raw != nil && string(s.config.raw) != string(read.raw):
		return errors.New("it is another image than before")
	}
	s.config = read
	if s.kept == nil {
		s.kept, s.sizes = map[string]blob{}, map[string]int64{}
	}
	for id, b := range f.found {
		s.kept[id] = b
	}
	for id, size := range f.sizes {
		s.sizes[id] = size
	}
	return nil
}

var errClosed = errors.New("the spool is closed")

// untilDone ends a long reading when nobody waits for it any more.
type untilDone struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (r *untilDone) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(b)
}
