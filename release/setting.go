package release

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Setting is one value of a release: its path in the release's JSON form, where lists of named things go by their names.
type Setting struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Settings gives everything that a release says and that is not empty, sorted by path. Secrets are in it by name. How the image is
// made, what runs around a release and how the daemon keeps it are no part of it.
func Settings(r Release) []Setting {
	r.Unbuilt, r.Build, r.Reconcile, r.Hooks = nil, Build{}, Reconcile{}, Hooks{}
	var list []Setting
	flatten("", reflect.ValueOf(r), &list)
	slices.SortFunc(list, func(a, b Setting) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func flatten(path string, v reflect.Value, list *[]Setting) {
	if v.IsZero() {
		return
	}
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch {
	case v.Kind() == reflect.Pointer:
		flatten(path, v.Elem(), list)
	case v.Type() == reflect.TypeFor[time.Duration]():
		*list = append(*list, Setting{path, fmt.Sprint(v.Interface())})
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			flatten(join(name), v.Field(i), list)
		}
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			flatten(join(key.String()), v.MapIndex(key), list)
			if v.MapIndex(key).IsZero() {
				*list = append(*list, Setting{join(key.String()), `""`})
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			flatten(join(v.Index(i).FieldByName("Name").String()), v.Index(i), list)
		}
	case v.Kind() == reflect.String:
		*list = append(*list, Setting{path, v.String()})
	default:
		data, err := json.Marshal(v.Interface())
		if err != nil {
			data = []byte(err.Error())
		}
		*list = append(*list, Setting{path, string(data)})
	}
}
