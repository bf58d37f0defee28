package sim

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
)

// Upload unpacks a tar archive into a directory of a container. Its files are kept, and do nothing by themselves.
func (e *Engine) Upload(ctx context.Context, name, dir string, archive io.Reader) error {
	files, err := unpackInto(dir, archive)
	if err != nil {
		return err
	}
	return e.mutate(ctx, "Engine.Upload", name+" "+dir, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		if c.uploads == nil {
			c.uploads = map[string][]byte{}
		}
		maps.Copy(c.uploads, files)
		return nil
	})
}

func unpackInto(dir string, archive io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	in := tar.NewReader(archive)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the archive does not read: %w", err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		files[path.Join(dir, header.Name)] = data
	}
}
