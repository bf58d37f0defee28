package plan_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// ignored are the fields of an observation on which no plan depends: clocks, counters, room on disks, addresses, and what planning
// is given by itself.
var ignored = []string{
	"Engine.Clock", "Engine.Variant", "Engine.Mirrors", "Engine.Mirrors[0]", "Engine.Containerd", "Engine.Ahead", "Engine.Rootless", "Engine.Lacks", "Engine.Lacks[0]",
	"Images[0].Layers", "Images[0].Layers[0]", "AccessoryImages[0].Layers", "AccessoryImages[0].Layers[0]", "FreeBytes", "FreeIn", "DiskBytes", "SeenAt", "Fence", "FenceVersion", "Record",
	"Lock.Renewed", "Lock.Lease",
	// A container for one command is out of every plan's scope, and nothing else has the engine remove it.
	"Containers[0].Exec", "Containers[0].Asked.Passing", "Containers[0].Live.Passing", "Proxy.Asked.Passing", "Proxy.Live.Passing",
	"Containers[0].RestartCount", "Containers[0].Failing", "Containers[0].Started", "Containers[0].Finished", "Containers[0].IPs{}",
}

// TestAProjectionDependsOnEveryFieldThatAPlanIsMadeOf changes one field after the other, also those that come to the types later.
func TestAProjectionDependsOnEveryFieldThatAPlanIsMadeOf(t *testing.T) {
	var host state.Host
	fill(reflect.ValueOf(&host).Elem(), 0)
	before := plan.Projection(host)
	if before != plan.Projection(host) {
		t.Fatal("the same observation has two digests")
	}
	var paths []string
	mutate(reflect.ValueOf(&host).Elem(), "", func(path string) {
		paths = append(paths, path)
		if !slices.ContainsFunc(ignored, func(prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+".") }) {
			if plan.Projection(host) == before {
				t.Errorf("another %s gives the same digest", path)
			}
			return
		}
		if plan.Projection(host) != before {
			t.Errorf("another %s gives another digest", path)
		}
	})
	if len(paths) < 100 {
		t.Errorf("only %d fields were changed: %v", len(paths), paths)
	}
	if plan.Projection(host) != before {
		t.Error("the changes were not taken back")
	}
}

// TestAProjectionDoesNotDependOnTheEnginesOrder.
func TestAProjectionDoesNotDependOnTheEnginesOrder(t *testing.T) {
	host := fleet(1, "v2").hosts[0]
	before := plan.Projection(host)
	slices.Reverse(host.Containers)
	slices.Reverse(host.Images)
	slices.Reverse(host.Networks)
	for i := range host.Images {
		host.Images[i].Tags = slices.Clone(host.Images[i].Tags)
		slices.Reverse(host.Images[i].Tags)
	}
	if plan.Projection(host) != before {
		t.Error("the order in which the engine lists decides")
	}
}

// fill gives every field a value, and every collection one entry.
func fill(v reflect.Value, depth int) {
	if depth > 12 || v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1000, 7)).Convert(v.Type()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("KEY").Convert(v.Type().Key()), value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	}
}

// mutate changes each leaf for the time of a call of seen, and each collection's being there.
func mutate(v reflect.Value, path string, seen func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	with := func(value reflect.Value, path string) {
		v.Set(value)
		seen(path)
		v.Set(old)
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		with(reflect.ValueOf(time.Unix(2000, 7)), path)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			mutate(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), seen)
		}
	case v.Kind() == reflect.Pointer:
		with(reflect.Zero(v.Type()), path)
		mutate(v.Elem(), path, seen)
	case v.Kind() == reflect.Slice:
		with(reflect.Zero(v.Type()), path)
		mutate(v.Index(0), path+"[0]", seen)
	case v.Kind() == reflect.Map:
		with(reflect.Zero(v.Type()), path)
		other := reflect.New(v.Type().Elem()).Elem()
		changed := reflect.MakeMap(v.Type())
		changed.SetMapIndex(v.MapKeys()[0], other)
		with(changed, path+"{}")
	case v.Kind() == reflect.String:
		with(reflect.ValueOf("other").Convert(v.Type()), path)
	case v.Kind() == reflect.Bool:
		with(reflect.ValueOf(false).Convert(v.Type()), path)
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		with(reflect.ValueOf(int64(2)).Convert(v.Type()), path)
	}
}
