package proxy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/proxy"
)

func TestTheImageIsACompleteArchiveWithTheProxyInIt(t *testing.T) {
	d := proxy.New(&recorder{}, proxy.WithBinary(func(string) ([]byte, error) { return []byte("ELF"), nil }))
	archive, err := d.Image(t.Context(), "kamald/proxy:v1.2.3", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, zip)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	decode(t, files["manifest.json"], &manifest)
	if len(manifest) != 1 || manifest[0].RepoTags[0] != "kamald/proxy:v1.2.3" {
		t.Fatalf("manifest %s", files["manifest.json"])
	}
	var config struct {
		Architecture, OS string
		Config           struct {
			Cmd, Env []string
			Labels   map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	layer := files[manifest[0].Layers[0]]
	decode(t, files[manifest[0].Config], &config)
	sum := sha256.Sum256(layer)
	if config.RootFS.DiffIDs[0] != "sha256:"+hex.EncodeToString(sum[:]) || config.Architecture != "arm64" || config.OS != "linux" {
		t.Fatalf("config %s", files[manifest[0].Config])
	}
	labels := config.Config.Labels
	if labels["org.opencontainers.image.title"] != "kamal-proxy" || labels["org.opencontainers.image.version"] != "v1.2.3" {
		t.Fatalf("labels %v", labels)
	}
	inside, modes := untar(t, bytes.NewReader(layer))
	if string(inside["usr/local/bin/kamal-proxy"]) != "ELF" || modes["usr/local/bin/kamal-proxy"] != 0o755 {
		t.Fatalf("layer holds %v", modes)
	}
	if got := string(inside["usr/local/bin/kamal-proxy.version"]); got != "v1.2.3\n" || modes["usr/local/bin/kamal-proxy.version"] != 0o644 {
		t.Fatalf("the version beside the binary is %q, layer holds %v", got, modes)
	}
	if modes["tmp/"] != 0o1777 || modes["home/kamal-proxy/.config/kamal-proxy/"] != 0o755 {
		t.Fatalf("layer holds %v", modes)
	}
}

func TestTheSameBinaryGivesTheSameImage(t *testing.T) {
	var got [2]string
	for i := range got {
		archive, err := proxy.Archive("kamald/proxy:v1", "amd64", []byte("ELF"))
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(archive)
		got[i] = string(data)
	}
	if got[0] != got[1] {
		t.Fatal("two archives of one binary differ")
	}
}

func TestOtherImagesAreNotMade(t *testing.T) {
	for _, ref := range []string{"basecamp/kamal-proxy:v0.9.2", "registry.example.com/kamald/proxy:v1", "kamald/proxy-other"} {
		if _, err := proxy.New(&recorder{}).Image(t.Context(), ref, "amd64"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestAnUnknownArchitectureIsNamed(t *testing.T) {
	_, err := proxy.New(&recorder{}).Image(t.Context(), "kamald/proxy:v1", "riscv64")
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "riscv64") {
		t.Fatal(err)
	}
}

func untar(t *testing.T, r io.Reader) (map[string][]byte, map[string]int64) {
	t.Helper()
	files, modes := map[string][]byte{}, map[string]int64{}
	for in := tar.NewReader(r); ; {
		header, err := in.Next()
		if err == io.EOF {
			return files, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name], modes[header.Name] = data, header.Mode
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}
