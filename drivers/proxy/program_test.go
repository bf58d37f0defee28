package proxy_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

func TestWhatTheProxySaysOfItselfIsRead(t *testing.T) {
	r := &recorder{files: []string{`{"name":"kamald-proxy","version":"1.1.0","build":"abc","sha256":"00","started":"2026-01-02T03:04:05Z","features":["fence","upgrade"]}`}}
	got, err := proxy.New(r).About(t.Context(), "kamal-proxy")
	want := state.Program{Version: "1.1.0", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Features: []string{"fence", "upgrade"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := proxy.New(&recorder{}).About(t.Context(), "kamal-proxy"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another proxy: %v", err)
	}
	if _, err := proxy.New(&recorder{files: []string{"{"}}).About(t.Context(), "kamal-proxy"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a torn file: %v", err)
	}
}

func TestAProxyOfKamalsIsNotLookedIntoWhereItsVolumeCanBeRead(t *testing.T) {
	r := &recorder{}
	d := proxy.New(r, proxy.WithHostFiles(func(context.Context, string, string) (string, error) { return "/var/lib/docker/x", nil },
		func(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }))
	if _, err := d.About(t.Context(), "kamal-proxy"); !errors.Is(err, fs.ErrNotExist) || r.reads != 0 {
		t.Errorf("%v, after %d reads through the engine", err, r.reads)
	}
}

func TestTheProgramOfAnImageIsAnArchiveWithItsVersion(t *testing.T) {
	d := proxy.New(&recorder{}, proxy.WithBinary(func(arch string) ([]byte, error) { return []byte("program for " + arch), nil }))
	archive, err := d.Program(t.Context(), "kamald/proxy:1.1.0", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(archive); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
		if want := map[string]int64{"kamal-proxy.new": 0o755, "kamal-proxy.new.version": 0o644}[header.Name]; header.Mode != want {
			t.Errorf("%s has %o", header.Name, header.Mode)
		}
	}
	if want := map[string]string{"kamal-proxy.new": "program for arm64", "kamal-proxy.new.version": "1.1.0\n"}; !reflect.DeepEqual(files, want) {
		t.Errorf("%q", files)
	}
	if _, err := d.Program(t.Context(), "basecamp/kamal-proxy:v0.9.2", "arm64"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another's image: %v", err)
	}
}

func TestAnUpgradeIsOneCommandThatMayDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		if err := proxy.New(r).Upgrade(t.Context(), "kamal-proxy", 30*time.Second); err != nil {
			t.Fatal(err)
		}
		want := []string{"kamal-proxy", "upgrade", "--binary=/usr/local/bin/kamal-proxy.new", "--drain-timeout=30s"}
		if !reflect.DeepEqual(r.argv, [][]string{want}) || r.left != 90*time.Second {
			t.Errorf("%q with %s left", r.argv, r.left)
		}
	})
	r := &recorder{result: state.ExecResult{Code: 1, Stderr: "Error: the new program did not answer: exec format error\n"}}
	if err := proxy.New(r).Upgrade(t.Context(), "kamal-proxy", 0); err == nil || !strings.Contains(err.Error(), "serves as before: the new program did not answer: exec format error") {
		t.Errorf("%v", err)
	}
}
