package proxy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// Repository is the repository of the images that kamald makes itself.
const Repository = "kamald/proxy"

const (
	home       = "/home/kamal-proxy"
	programDir = "/usr/local/bin"
	binaryPath = programDir + "/" + command
)

//go:embed all:binaries
var binaries embed.FS

// epoch is the time of everything in the image, so that the same binary gives the same image.
var epoch = time.Unix(0, 0).UTC()

// Archive makes the proxy's image from its binary: a `docker save` archive in the form of the image specification v1.2,
// compressed with gzip. The same arguments give the same bytes.
func Archive(ref, arch string, binary []byte) (io.ReadCloser, error) {
	return archiveOf(ref, arch, binary, nil)
}

// archiveOf makes the archive of a binary that may be compressed already: that is most of the work, and gzip takes one stream after
// another (RFC 1952, 2.2).
func archiveOf(ref, arch string, binary, packed []byte) (io.ReadCloser, error) {
	if len(binary) == 0 {
		return nil, errors.New("the proxy's binary is empty")
	}
	repository, tag := splitReference(ref)
	layer, err := tarOf(layerEntries(binary, tag))
	if err != nil {
		return nil, err
	}
	id := digest(layer)
	config, err := json.Marshal(imageConfig(arch, tag, "sha256:"+id))
	if err != nil {
		return nil, err
	}
	layerName, configName := id+"/layer.tar", digest(config)+".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config":   configName,
		"RepoTags": []string{repository + ":" + tag},
		"Layers":   []string{layerName},
	}})
	if err != nil {
		return nil, err
	}
	archive, err := tarOf([]entry{
		directory(id, 0o755),
		{layerName, 0o644, layer},
		{configName, 0o644, config},
		{"manifest.json", 0o644, manifest},
	})
	if err != nil {
		return nil, err
	}
	before, after, _ := bytes.Cut(archive, binary)
	var streams []io.Reader
	for _, part := range [][]byte{before, binary, after} {
		stream := packed
		if packed == nil || len(streams) != 1 {
			if stream, err = compressed(part); err != nil {
				return nil, err
			}
		}
		streams = append(streams, bytes.NewReader(stream))
	}
	return io.NopCloser(io.MultiReader(streams...)), nil
}

func compressed(data []byte) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(data); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// embedded gives the binary, and the same compressed, that `make build` has put into this program.
func embedded(arch string) (binary, packed []byte, err error) {
	packed, err = binaries.ReadFile("binaries/kamald-proxy-linux-" + arch + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		if arch != "amd64" && arch != "arm64" {
			return nil, nil, fmt.Errorf("there is no kamald proxy for the architecture %s, only for amd64 and arm64: name another image in the proxy's block", arch)
		}
		return nil, nil, errors.New("this kamald was built without the proxy's binaries: run `make build`")
	}
	if err != nil {
		return nil, nil, err
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, nil, fmt.Errorf("the proxy's binary for %s is damaged: run `make build`: %w", arch, err)
	}
	binary, err = io.ReadAll(zip)
	if err != nil {
		return nil, nil, fmt.Errorf("the proxy's binary for %s is damaged: run `make build`: %w", arch, err)
	}
	return binary, packed, nil
}

type entry struct {
	name string // ends in a slash for a directory
	mode int64
	data []byte
}

func directory(name string, mode int64) entry { return entry{name: name + "/", mode: mode} }

// layerEntries has the tag beside the binary: the proxy tells it, so that who looks at a server knows which version runs there.
func layerEntries(binary []byte, tag string) []entry {
	return []entry{
		directory("etc", 0o755),
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:" + home + ":/sbin/nologin\n")},
		directory("home", 0o755),
		directory("home/kamal-proxy", 0o755),
		directory("home/kamal-proxy/.config", 0o755),
		directory("home/kamal-proxy/.config/kamal-proxy", 0o755),
		directory("tmp", 0o1777),
		directory("usr", 0o755),
		directory("usr/local", 0o755),
		directory("usr/local/bin", 0o755),
		{strings.TrimPrefix(binaryPath, "/"), 0o755, binary},
		{strings.TrimPrefix(binaryPath, "/") + ".version", 0o644, []byte(tag + "\n")},
	}
}

func imageConfig(arch, version, diffID string) any {
	return map[string]any{
		"created":      epoch,
		"architecture": arch,
		"os":           "linux",
		"config": map[string]any{
			"Env":          []string{"PATH=/usr/local/bin", "HOME=" + home},
			"Cmd":          []string{command, "run"},
			"WorkingDir":   home,
			"ExposedPorts": map[string]any{"80/tcp": struct{}{}, "443/tcp": struct{}{}},
			"Labels": map[string]string{
				state.LabelTitle:                   state.ProxyTitle,
				"org.opencontainers.image.version": version,
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{diffID}},
		"history": []any{map[string]any{"created": epoch, "created_by": "kamald"}},
	}
}

func tarOf(entries []entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if strings.HasSuffix(e.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// splitReference gives repository and tag of a reference; the tag is latest when there is none, a digest is left away.
func splitReference(ref string) (repository, tag string) {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[:i], ref[i+1:]
	}
	return ref, "latest"
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
