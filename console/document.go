package console

import (
	"encoding"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"
)

// document describes the API in OpenAPI 3.1, made of the table of routes and of the types that they take and give: what it says is what is
// answered.
func document(version string) ([]byte, error) {
	shapes := shapes{defined: map[string]any{}}
	paths := map[string]map[string]any{}
	for _, to := range routes {
		if to.page {
			continue
		}
		if paths[to.pattern] == nil {
			paths[to.pattern] = map[string]any{}
		}
		paths[to.pattern][strings.ToLower(to.method)] = operation(&shapes, to)
	}
	failure := shapes.of(reflect.TypeFor[Failure]())
	return json.MarshalIndent(map[string]any{
		"schema": Schema, "openapi": "3.1.0", "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
		"info": map[string]any{"title": "kamald", "version": version, "description": "{app} is written service, or service@destination."},
		"components": map[string]any{
			"schemas":         shapes.defined,
			"responses":       map[string]any{"failure": map[string]any{"description": "Why it is not done, and what to do about it.", "content": content("application/json", failure)}},
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"paths": paths,
	}, "", " ")
}

func operation(shapes *shapes, to route) map[string]any {
	kind, status := "application/json", "200"
	if to.pattern == "/v1/events" {
		kind = "text/event-stream"
	}
	if reflect.TypeOf(to.gives) == reflect.TypeFor[TicketAnswer]() && to.method == http.MethodPost {
		status = "202"
	}
	var parameters []any
	for part := range strings.SplitSeq(to.pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, p := range to.asks {
		parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "description": p.says, "schema": map[string]any{"type": "string"}})
	}
	described := map[string]any{
		"summary": to.says, "x-role": to.need.String(),
		"responses": map[string]any{
			status:    map[string]any{"description": "Done.", "content": content(kind, shapes.of(reflect.TypeOf(to.gives)))},
			"default": map[string]any{"$ref": "#/components/responses/failure"},
		},
	}
	if to.need > RoleNone {
		described["security"] = []any{map[string]any{"token": []any{}}}
	}
	if len(parameters) > 0 {
		described["parameters"] = parameters
	}
	if to.takes != nil {
		described["requestBody"] = map[string]any{"required": true, "content": content("application/json", shapes.of(reflect.TypeOf(to.takes)))}
	}
	return described
}

func content(kind string, shape any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": shape}}
}

// shapes gives the JSON Schema of Go types as encoding/json writes them. Structs are defined once, under the name of their package and
// their own.
type shapes struct{ defined map[string]any }

func (s *shapes) of(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return map[string]any{} // as its own code writes it
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{s.of(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": []any{"string", "null"}, "contentEncoding": "base64"}
		}
		return map[string]any{"type": []any{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": []any{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": "integer"}
}

func (s *shapes) object(t reflect.Type) map[string]any {
	name := path.Base(t.PkgPath()) + "." + t.Name()
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if t.Name() == "" {
		return s.fields(t)
	}
	if _, done := s.defined[name]; !done {
		s.defined[name] = nil // it may hold itself
		s.defined[name] = s.fields(t)
	}
	return ref
}

func (s *shapes) fields(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []any{}
	var embedded []reflect.StructField
	add := func(field reflect.StructField) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, hidden := properties[name]; hidden || name == "-" || !field.IsExported() {
			return
		}
		properties[name] = s.of(field.Type)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			required = append(required, name)
		}
	}
	for field := range fieldsOf(t) {
		if field.Anonymous && field.Tag.Get("json") == "" {
			embedded = append(embedded, field)
			continue
		}
		add(field)
	}
	for _, from := range embedded { // what the struct has itself hides theirs
		for field := range fieldsOf(from.Type) {
			add(field)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
