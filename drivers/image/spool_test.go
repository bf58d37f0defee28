package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// layouts are the ways in which engines save an image.
var layouts = map[string]func(fixture) []byte{
	"docker":         fixture.old,
	"oci":            func(f fixture) []byte { return f.oci("") },
	"oci, gzip":      func(f fixture) []byte { return f.oci("gzip") },
	"oci, zstandard": func(f fixture) []byte { return f.oci("zstd") },
}

func three() fixture {
	return fixture{labels: map[string]string{"service": "shop"}, layers: [][]byte{
		newLayer("base", noise(1, 5000)), newLayer("program", bytes.Repeat([]byte("code "), 4000)), newLayer("{version", []byte("v1")),
	}}
}

func TestOnlyTheLayersThatAreWantedAreKept(t *testing.T) {
	f := three()
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			s := filled(t, layout(f), f.ids()[2:])
			layers := s.Layers()
			if len(layers) != 3 || layers[0].Packed != 0 || layers[1].Packed != 0 || layers[2].Packed == 0 || layers[2].Size != int64(len(f.layers[2])) {
				t.Fatalf("got %+v", layers)
			}
			if layers[0].ID != f.ids()[0] {
				t.Errorf("the layers are %+v, want %v", layers, f.ids())
			}
			if _, err := s.Archive(1, 3, "acme/shop:v1", nil); err == nil || !strings.Contains(err.Error(), f.ids()[1]) {
				t.Errorf("an archive with a layer that is not kept: %v", err)
			}
			if err := s.Fill(t.Context(), bytes.NewReader(layout(f)), f.ids()); err != nil {
				t.Fatal(err)
			}
			if layers := s.Layers(); layers[0].Packed == 0 || layers[1].Packed == 0 || layers[1].Packed >= layers[1].Size {
				t.Errorf("filled again: %+v", layers)
			}
		})
	}
}

func TestAnArchiveHasOnlyTheLayersFromAHeightOn(t *testing.T) {
	f := three()
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			s := filled(t, layout(f), f.ids()[1:])
			archive, err := s.Archive(1, 3, "acme/shop:v2", map[string]string{"not": "wanted"})
			if err != nil {
				t.Fatal(err)
			}
			got := open(t, archive)
			if "sha256:"+hexOf(got.config) != f.id() {
				t.Error("the image is another")
			}
			if !slices.Equal(got.tags, []string{"acme/shop:v2"}) || len(got.names) != 3 || len(got.layers) != 2 || got.entries != 4 {
				t.Errorf("got %v %v, %d files", got.tags, got.names, got.entries)
			}
			for i, layer := range f.layers[1:] {
				if !bytes.Equal(got.layers[got.names[i+1]], layer) {
					t.Errorf("layer %d is another", i+1)
				}
			}
		})
	}
}

func TestTheLowestLayersAloneAreAnImageThatSaysWhatItIs(t *testing.T) {
	f := three()
	s := filled(t, f.old(), f.ids())
	archive, err := s.Archive(0, 2, "acme/shop:part", map[string]string{"kamald.carried": "shop"})
	if err != nil {
		t.Fatal(err)
	}
	got := open(t, archive)
	want := `{"architecture":"amd64","os":"linux","config":{"Labels":{"kamald.carried":"shop"}},"rootfs":{"type":"layers","diff_ids":["` +
		strings.Join(f.ids()[:2], `","`) + `"]}}`
	if string(got.config) != want || len(got.names) != 2 || len(got.layers) != 2 {
		t.Errorf("got %s, layers %v", got.config, got.names)
	}
}

func TestWhatIsWrongWithASavedImageIsSaid(t *testing.T) {
	f := three()
	broken := bytes.Clone(f.old())
	broken[bytes.Index(broken, f.layers[1])+1500] ^= 1
	two := newArchiver()
	two.add("manifest.json", []byte(`[{"Config":"a"},{"Config":"b"}]`))
	lost := newArchiver()
	lost.manifest("gone.json", nil)
	for _, c := range []struct {
		name    string
		archive []byte
		wanted  []string
		says    string
	}{
		{"a damaged layer", broken, f.ids(), "the layer " + f.ids()[1] + " is not in it, or is damaged"},
		{"cut off", f.old()[:3000], f.ids(), "unexpected EOF"},
		{"nothing", nil, nil, "no manifest.json"},
		{"two images", two.bytes(), nil, "2 images"},
		{"no configuration", lost.bytes(), nil, "gone.json is not in it"},
		{"a layer of another image", f.old(), []string{"sha256:other"}, "no layer sha256:other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Spool{Dir: t.TempDir()}
			err := s.Fill(t.Context(), bytes.NewReader(c.archive), c.wanted)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if layers := s.Layers(); len(layers) > 0 {
				t.Errorf("it keeps %+v", layers)
			}
		})
	}
}

func TestASpoolHoldsOneImage(t *testing.T) {
	f, other := three(), three()
	other.labels = map[string]string{"service": "other"}
	s := filled(t, f.old(), nil)
	if err := s.Fill(t.Context(), bytes.NewReader(other.old()), nil); err == nil {
		t.Error("it took another image")
	}
}

func TestNothingOfASpoolHasANameOnTheDisk(t *testing.T) {
	f := three()
	s := filled(t, f.old(), f.ids())
	if entries, err := os.ReadDir(s.Dir); err != nil || len(entries) > 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
	archive, err := s.Archive(0, 3, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, archive); err == nil {
		t.Error("a closed spool's archive reads to its end")
	}
	if _, err := s.Archive(0, 3, "", nil); !errors.Is(err, errClosed) {
		t.Errorf("a closed spool gives an archive: %v", err)
	}
}

func TestAFillingEndsWithItsContext(t *testing.T) {
	f := three()
	ctx, cancel := context.WithCancelCause(t.Context())
	given := errors.New("given up")
	cancel(given)
	if err := (&Spool{Dir: t.TempDir()}).Fill(ctx, bytes.NewReader(f.old()), f.ids()); !errors.Is(err, given) {
		t.Errorf("got %v", err)
	}
}

// engine is a store of layers as a graph driver keeps them: by the names of their chains.
type engine map[string]bool

func (e engine) height(ids []string) int {
	n := 0
	for n < len(ids) && e[strings.Join(ids[:n+1], " ")] {
		n++
	}
	return n
}

// load is what an engine does with an archive; it gives the image's layers.
func (e engine) load(t *rapid.T, o opened, ids []string) {
	for i := range o.names {
		chain := strings.Join(ids[:i+1], " ")
		if e[chain] {
			continue
		}
		if "sha256:"+hexOf(o.layers[o.names[i]]) != ids[i] {
			t.Fatalf("the layer %d is not what it should be", i)
		}
		e[chain] = true
	}
}

// TestLawWhatAHostHasAndWhatIsSentIsTheImage: whatever the host has, the archives that are sent to it, in whatever parts, give it
// the whole image, and no layer travels that it has.
func TestLawWhatAHostHasAndWhatIsSentIsTheImage(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var f fixture
		for _, seed := range rapid.SliceOfN(rapid.Uint64Range(0, 3), 1, 5).Draw(t, "layers") { // some come twice
			f.layers = append(f.layers, newLayer("file", noise(seed, 600)))
		}
		ids := f.ids()
		host := engine{}
		for n := range rapid.IntRange(0, len(ids)).Draw(t, "the host has") {
			host[strings.Join(ids[:n+1], " ")] = true
		}
		layout := layouts[rapid.SampledFrom(slices.Sorted(maps.Keys(layouts))).Draw(t, "layout")]
		from := host.height(ids)
		s := &Spool{Dir: dir}
		defer s.Close()
		if err := s.Fill(context.Background(), bytes.NewReader(layout(f)), ids[from:]); err != nil {
			t.Fatal(err)
		}
		for from < len(ids) || from == host.height(ids) {
			to := len(ids)
			if from < to {
				to = rapid.IntRange(from+1, len(ids)).Draw(t, "to")
			}
			archive, err := s.Archive(from, to, "acme/shop:v1", nil)
			if err != nil {
				t.Fatal(err)
			}
			o := open(t, archive)
			if sent := len(o.layers); sent > to-from {
				t.Fatalf("%d layers are sent where %d are missing", sent, to-from)
			}
			host.load(t, o, ids)
			if to == len(ids) {
				if "sha256:"+hexOf(o.config) != f.id() {
					t.Fatal("the image is another")
				}
				break
			}
			from = to
		}
		if host.height(ids) != len(ids) {
			t.Fatal("the host does not have the whole image")
		}
		total := func(layers []state.Layer) (n int64) {
			for _, l := range layers {
				n += l.Packed
			}
			return n
		}
		if from == len(ids) && total(s.Layers()) > 0 {
			t.Fatal("layers were kept that nobody lacks")
		}
	})
}
