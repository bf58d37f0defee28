package lab

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// layer is one layer of an image, packed and compressed.
type layer struct{ tar, gzip []byte }

// file is one file of a layer, or to lay into a container.
type file struct {
	path    string // absolute
	mode    int64
	content []byte
}

var program struct {
	sync.Mutex
	layer layer
	built bool
}

// programLayer is the layer with the sample app, built once a process. A failure is not kept: a context may have ended
// it.
func programLayer(ctx context.Context) (layer, error) {
	program.Lock()
	defer program.Unlock()
	if program.built {
		return program.layer, nil
	}
	binary, err := buildProgram(ctx)
	if err != nil {
		return layer{}, err
	}
	program.layer, err = newLayer([]file{{path: "/bin/app", mode: 0o555, content: binary}})
	program.built = err == nil
	return program.layer, err
}

// buildProgram compiles the sample app for this machine's architecture, statically. The working directory must be
// inside the module, as it is for tests and make targets.
func buildProgram(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kamald-lab-app-")
	if err != nil {
		return nil, fmt.Errorf("lab: build the sample app: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	output := filepath.Join(dir, "app")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", output,
		"github.com/kamald/kamald/lab/app")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=")
	if said, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("lab: build the sample app: %w: %s", err, said)
	}
	binary, err := os.ReadFile(output)
	if err != nil {
		return nil, fmt.Errorf("lab: build the sample app: %w", err)
	}
	return binary, nil
}

func newLayer(files []file) (layer, error) {
	packed, err := archive(files)
	if err != nil {
		return layer{}, err
	}
	var compressed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestSpeed)
	if err != nil {
		return layer{}, fmt.Errorf("lab: pack a layer: %w", err)
	}
	if _, err := writer.Write(packed); err != nil {
		return layer{}, fmt.Errorf("lab: pack a layer: %w", err)
	}
	if err := writer.Close(); err != nil {
		return layer{}, fmt.Errorf("lab: pack a layer: %w", err)
	}
	return layer{tar: packed, gzip: compressed.Bytes()}, nil
}

// archive packs files, owned by root and of no time, so that the same files make the same bytes.
func archive(files []file) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, f := range files {
		header := &tar.Header{Name: f.path[1:], Mode: f.mode, Size: int64(len(f.content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("lab: pack %s: %w", f.path, err)
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, fmt.Errorf("lab: pack %s: %w", f.path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("lab: pack: %w", err)
	}
	return buffer.Bytes(), nil
}

func digest(content []byte) string { return "sha256:" + hexDigest(content) }

func hexDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// noise is size bytes that do not compress, always the same for one seed.
func noise(seed string, size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(content)
	return content
}
