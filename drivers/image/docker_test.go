package image_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/lab"
)

// realEngine is this machine's engine. Without one the test does not run, and in CI it fails.
func realEngine(t *testing.T) *docker.Engine {
	t.Helper()
	socket, err := docker.LocalSocket(t.Context())
	if err == nil {
		e := docker.New(docker.DialLocal, docker.Options{Host: "local", Socket: socket})
		t.Cleanup(func() { e.Close() })
		if _, err = e.Info(t.Context()); err == nil {
			return e
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no Docker engine answers: %v", err)
	}
	t.Skipf("NOT RUN: no Docker engine answers: %v", err)
	return nil
}

// app builds a version of the lab's app in the engine and gives its reference; both versions have their lowest layer in common.
func app(t *testing.T, e *docker.Engine, version string) string {
	t.Helper()
	variant := lab.AppImage{Repository: "kamald-test/carried-" + strings.ToLower(fmt.Sprint(os.Getpid())), Version: version}
	archive, err := variant.Archive(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
	ref := variant.Reference("")
	t.Cleanup(func() { _ = e.RemoveImage(context.WithoutCancel(t.Context()), ref) })
	return ref
}

func TestAnEngineLoadsAnImageWithoutTheLayersThatItHas(t *testing.T) {
	e := realEngine(t)
	if info, err := e.Info(t.Context()); err != nil || info.Containerd {
		t.Skipf("NOT RUN: this machine's engine keeps images as containerd does, and takes only whole ones (%v)", err)
	}
	app(t, e, "v1")
	ref := app(t, e, "v2")
	before, err := e.Image(t.Context(), ref)
	if err != nil || len(before.Layers) != 2 {
		t.Fatalf("%+v, %v", before, err)
	}
	spool := &image.Spool{Dir: t.TempDir()}
	defer spool.Close()
	saved, err := e.Save(t.Context(), before.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := spool.Fill(t.Context(), saved, before.Layers); err != nil {
		t.Fatal(err)
	}
	if err := saved.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveImage(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	archive := func(from, to int, ref string) []byte {
		r, err := spool.Archive(from, to, ref, map[string]string{"kamald.carried": "test"})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole, upper := archive(0, 2, ref), archive(1, 2, ref)
	if len(upper) > len(whole)/20 {
		t.Errorf("the upper layer alone is %d bytes of %d", len(upper), len(whole))
	}
	t.Run("a damaged layer is refused", func(t *testing.T) {
		damaged := bytes.Clone(upper)
		damaged[600] ^= 0x10
		if err := e.Load(t.Context(), bytes.NewReader(damaged)); err == nil {
			t.Error("it was taken")
		} else {
			t.Log(err)
		}
		if _, err := e.Image(t.Context(), ref); err == nil {
			t.Error("the image is there")
		}
	})
	t.Run("the layer that it lacks is enough", func(t *testing.T) {
		if err := e.Load(t.Context(), bytes.NewReader(upper)); err != nil {
			t.Fatal(err)
		}
		after, err := e.Image(t.Context(), ref)
		if err != nil || after.ID != before.ID {
			t.Errorf("it is %s, was %s, %v", after.ID, before.ID, err)
		}
	})
	t.Run("the lowest layers alone hold the place for the rest", func(t *testing.T) {
		parts := strings.Split(ref, ":")[0]
		for _, gone := range []string{parts + ":v1", ref} {
			if err := e.RemoveImage(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Load(t.Context(), bytes.NewReader(upper)); err == nil {
			t.Fatal("a layer that is nowhere was not missed")
		} else {
			t.Log(err)
		}
		t.Cleanup(func() { _ = e.RemoveImage(context.WithoutCancel(t.Context()), parts+":part") })
		if err := e.Load(t.Context(), bytes.NewReader(archive(0, 1, parts+":part"))); err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context(), bytes.NewReader(upper)); err != nil {
			t.Fatal(err)
		}
		if err := e.RemoveImage(t.Context(), parts+":part"); err != nil {
			t.Fatal(err)
		}
		after, err := e.Image(t.Context(), ref)
		if err != nil || after.ID != before.ID {
			t.Errorf("it is %s, was %s, %v", after.ID, before.ID, err)
		}
	})
}
