package release

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestLayingNothingOverOrUnderChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, empty := drawBlock(t, destinationSpec, "b", true), &block{spec: destinationSpec, attrs: map[string]*value{}}
		for name, got := range map[string]*block{"over": overlay(b, empty), "under": overlay(empty, b), "nil over": overlay(b, nil), "nil under": overlay(nil, b)} {
			if !reflect.DeepEqual(got, b) {
				t.Fatalf("nothing laid %s changes\n%s\nto\n%s", name, outline(b), outline(got))
			}
		}
	})
}

func TestLayingTheSameOverTwiceIsLayingItOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := drawBlock(t, destinationSpec, "base", false), drawBlock(t, destinationSpec, "over", false)
		once := overlay(base, over)
		if twice := overlay(once, over); !reflect.DeepEqual(once, twice) {
			t.Fatalf("once\n%s\ntwice\n%s", outline(once), outline(twice))
		}
	})
}

func TestLayingOverChangesNeitherArgument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := drawBlock(t, destinationSpec, "base", true), drawBlock(t, destinationSpec, "over", true)
		before := outline(base) + outline(over)
		overlay(base, over)
		if after := outline(base) + outline(over); after != before {
			t.Fatalf("before\n%s\nafter\n%s", before, after)
		}
	})
}

func TestWhatIsLaidOverWinsAndTheRestStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := drawBlock(t, destinationSpec, "base", false), drawBlock(t, destinationSpec, "over", false)
		merged := overlay(base, over)
		for _, as := range destinationSpec.attrs {
			under, on, got := base.get(as.name), over.get(as.name), merged.get(as.name)
			switch {
			case on == nil && !reflect.DeepEqual(got, under):
				t.Fatalf("%s is not mentioned and has changed", as.name)
			case on != nil && on.dict == nil && !reflect.DeepEqual(got, on):
				t.Fatalf("%s is replaced, and is not what replaces it", as.name)
			case on != nil && on.dict != nil && under.set():
				want := maps.Clone(under.dict)
				if want == nil {
					want = map[string][]text{}
				}
				maps.Copy(want, on.dict)
				if !reflect.DeepEqual(got.dict, want) {
					t.Fatalf("%s: %v over %v is %v", as.name, on.dict, under.dict, got.dict)
				}
			}
		}
		for _, b := range base.blocks {
			if over.find(b.spec.name, b.label) == nil && !reflect.DeepEqual(merged.find(b.spec.name, b.label), b) {
				t.Fatalf("%s is not mentioned and has changed", b.title())
			}
		}
	})
}

func TestABlockThatIsRemovedAndAddedAgainHasNothingOfBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, fresh := drawBlock(t, destinationSpec, "base", true), drawBlock(t, roleSpec(), "fresh", true)
		fresh.label = "a"
		removal := &block{spec: roleSpec(), label: "a", attrs: map[string]*value{"remove": {name: "remove", flag: true}}}
		with := func(b *block) *block {
			return &block{spec: destinationSpec, attrs: map[string]*value{}, blocks: []*block{b}}
		}
		without := overlay(base, with(removal))
		if without.find("role", "a") != nil {
			t.Fatal("the role is still there")
		}
		if got := overlay(without, with(fresh)).find("role", "a"); !reflect.DeepEqual(got, fresh) {
			t.Fatalf("added\n%s\nand has\n%s", outline(fresh), outline(got))
		}
	})
}

// drawBlock draws a block of the vocabulary: some of its attributes, some of its blocks under the labels a, b and c.
func drawBlock(t *rapid.T, spec *blockSpec, label string, repeats bool) *block {
	if spec.name == "env" {
		b := drawEnv(t, label)
		b.spec = spec
		return b
	}
	b := &block{spec: spec, attrs: map[string]*value{}}
	for _, as := range spec.attrs {
		if as.name != "remove" && rapid.IntRange(0, 3).Draw(t, label+"."+as.name) == 0 {
			b.attrs[as.name] = drawValue(t, as, label+"."+as.name)
		}
	}
	for _, child := range spec.blocks {
		if child.name == "locals" || child.repeats && !repeats {
			continue
		}
		labels := []string{""}
		if child.label != "" {
			labels = []string{"a", "b", "c"}
		}
		for _, name := range labels {
			path := label + "." + child.name + name
			if rapid.IntRange(0, 5).Draw(t, path) == 0 {
				one := drawBlock(t, child, path, repeats)
				one.label = name
				b.blocks = append(b.blocks, one)
			}
		}
	}
	return b
}

func drawValue(t *rapid.T, as attrSpec, label string) *value {
	v := &value{name: as.name}
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3).Draw(t, label)
	switch as.kind {
	case kindStringMap, kindEnvMap, kindOptions:
		v.dict = map[string][]text{}
		for _, word := range words {
			v.dict[word] = []text{{s: label}}
			if rapid.IntRange(0, 4).Draw(t, label+word) == 0 {
				v.dict[word] = nil // null
			}
		}
	case kindStrings, kindSecrets, kindCommand:
		for _, word := range words {
			v.list = append(v.list, text{s: word})
		}
	default:
		v.null = len(words) == 0
		v.one.s = label
	}
	return v
}

// outline prints all of a block, maps in their order.
func outline(b *block) string {
	if b == nil {
		return "nothing"
	}
	text := b.title() + " {"
	for _, name := range slices.Sorted(maps.Keys(b.attrs)) {
		v := b.attrs[name]
		text += fmt.Sprintf(" %s=%v/%v/%v/%v/%v", name, v.null, v.flag, v.one.s, v.list, v.dict)
	}
	for _, child := range b.blocks {
		text += "\n" + outline(child)
	}
	return text + " }"
}
