package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// TestWhatIsAnsweredIsWhatTheDocumentSays asks for everything, with all that a status can have in it, and holds each answer to the
// document's schema for it.
func TestWhatIsAnsweredIsWhatTheDocumentSays(t *testing.T) {
	f := newFixture(t)
	full(f.model)
	var doc map[string]any
	decode(t, f.ask("GET", "/v1/schema", "", as("reader")), &doc)
	if doc["schema"] != float64(Schema) {
		t.Errorf("the document's schema is %v", doc["schema"])
	}
	bodies := map[string]string{
		"release": `{"version":"v2"}`, "apply": `{"release":{"service":"shop"}}`, "rollback": `{}`, "approve": `{"word":"amber-otter"}`, "pause": `{"reason":"disk"}`,
		"unpause": `{}`, "resume": `{}`, "look": `{}`,
	}
	for _, to := range routes {
		if to.page || to.pattern == "/v1/schema" || to.pattern == "/v1/events" {
			continue
		}
		name := to.method + " " + to.pattern
		path := strings.NewReplacer("{app}", "shop", "{id}", "t1").Replace(to.pattern)
		if strings.HasSuffix(path, "/logs") {
			path += "?host=web-1&container=shop-web-v1"
		}
		body := bodies[path[strings.LastIndex(path, "/")+1:]]
		w := f.ask(to.method, path, body, as("admin"))
		if w.Code >= 300 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
			continue
		}
		schema, ok := find(doc, "paths", to.pattern, strings.ToLower(to.method), "responses", fmt.Sprint(w.Code), "content", "application/json", "schema")
		if !ok {
			t.Errorf("%s answers %d, which the document does not have", name, w.Code)
			continue
		}
		hold(t, name, doc, schema, w.Body.Bytes())
		if body != "" {
			schema, _ := find(doc, "paths", to.pattern, "post", "requestBody", "content", "application/json", "schema")
			if to.pattern != "/v1/apps/{app}/apply" { // a whole one is in release's own tests
				hold(t, name+" (body)", doc, schema, []byte(body))
			}
		}
	}
	failure, _ := find(doc, "components", "responses", "failure", "content", "application/json", "schema")
	for _, w := range []*http.Response{f.ask("GET", "/v1/apps/shop", "").Result(), f.ask("GET", "/v1/nothing", "", as("admin")).Result(), f.ask("PUT", "/v1/apps", "", as("admin")).Result(),
		f.ask("POST", "/v1/apps/shop/approve", `{"word":"x"}`, as("admin")).Result(), f.ask("GET", "/v1/apps?", "", func(r *http.Request) { r.Host = "evil.example" }).Result()} {
		var raw json.RawMessage
		if err := json.NewDecoder(w.Body).Decode(&raw); err != nil {
			t.Fatal(err)
		}
		hold(t, w.Status, doc, failure, raw)
	}
}

func TestNoticesAreWhatTheDocumentSays(t *testing.T) {
	f := newFixture(t)
	full(f.model)
	var doc map[string]any
	decode(t, f.ask("GET", "/v1/schema", "", as("reader")), &doc)
	schema, _ := find(doc, "paths", "/v1/events", "get", "responses", "200", "content", "text/event-stream", "schema")
	notices := f.model.Subscribe(t.Context())
	f.model.begin("t1")
	f.model.line(shop, "web-1", "start it")
	f.model.finish("t1", "")
	kinds := map[string]bool{}
	for range 7 {
		notice := <-notices
		kinds[notice.Kind] = true
		data, err := json.Marshal(NoticeEvent{Schema, NameOf(notice.App), trimmed(notice)})
		if err != nil {
			t.Fatal(err)
		}
		hold(t, notice.Kind, doc, schema, data)
		if notice.Kind == loop.NoticeStatus && len(kinds) == 4 {
			break
		}
	}
	if len(kinds) != 4 {
		t.Errorf("only %v were told", kinds)
	}
}

// full gives shop all that a status can have.
func full(m *model) {
	m.waitForApproval()
	now := m.now()
	m.change(shop, func(s *loop.Status) {
		s.Findings = []state.Finding{{ID: "f1", Class: "stopped", Severity: "high", Host: "web-2", Role: "worker", Name: "shop-worker-v1", Reason: "it does not run", Since: now, Event: "container die, exit code 137", Heals: "start it"}}
		s.Pauses = []state.Pause{{Host: "web-2", Reason: "disk", Who: "ada", Where: "laptop", Since: now, Until: now.Add(time.Hour)}}
		s.Doing = &loop.Activity{Kind: "heal", Version: "v1", Who: "kamald", Since: now, Lines: []reconcile.Progress{{At: now, Kind: "begin", Host: "web-2", Message: "start it", Took: time.Second, Bytes: 1, Total: 2}}}
		s.Places[1].Unreachable, s.Places[2].Cordoned = "no route", "new disk"
	})
	if _, err := m.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2", By: someone}); err != nil {
		panic(err)
	}
}

func find(doc any, path ...string) (any, bool) {
	for _, key := range path {
		object, ok := doc.(map[string]any)
		if !ok {
			return nil, false
		}
		if doc, ok = object[key]; !ok {
			return nil, false
		}
	}
	return doc, true
}

// hold fails the test where a value is not as its schema says. A keyword that it does not know is a failure too.
func hold(t *testing.T, name string, doc map[string]any, schema any, data []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems(doc, schema, value, "") {
		t.Errorf("%s: %s", name, problem)
	}
}

func problems(doc map[string]any, schema, value any, at string) (list []string) {
	rules, ok := schema.(map[string]any)
	if !ok {
		return []string{at + ": there is no schema"}
	}
	for rule, want := range rules {
		switch rule {
		case "$ref":
			to, _ := find(doc, strings.Split(strings.TrimPrefix(want.(string), "#/"), "/")...)
			list = append(list, problems(doc, to, value, at)...)
		case "type":
			kinds, several := want.([]any)
			if !several {
				kinds = []any{want}
			}
			if !slices.ContainsFunc(kinds, func(kind any) bool { return isOf(kind.(string), value) }) {
				list = append(list, fmt.Sprintf("%s is %v, and not %v", at, value, want))
			}
		case "anyOf":
			if !slices.ContainsFunc(want.([]any), func(one any) bool { return len(problems(doc, one, value, at)) == 0 }) {
				list = append(list, fmt.Sprintf("%s fits none of %v: %v", at, want, value))
			}
		case "items":
			items, _ := value.([]any)
			for i, item := range items {
				list = append(list, problems(doc, want, item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		case "required":
			object, _ := value.(map[string]any)
			for _, key := range want.([]any) {
				if _, there := object[key.(string)]; !there {
					list = append(list, at+"."+key.(string)+" is missing")
				}
			}
		case "properties":
			object, _ := value.(map[string]any)
			for key, one := range object {
				if schema, known := want.(map[string]any)[key]; known {
					list = append(list, problems(doc, schema, one, at+"."+key)...)
				} else if rules["additionalProperties"] == false {
					list = append(list, at+"."+key+" is not in the schema")
				}
			}
		case "additionalProperties":
			if object, is := value.(map[string]any); is && want != false {
				for key, one := range object {
					list = append(list, problems(doc, want, one, at+"."+key)...)
				}
			}
		case "format":
			if _, err := time.Parse(time.RFC3339Nano, value.(string)); err != nil {
				list = append(list, at+": "+err.Error())
			}
		case "description", "contentEncoding":
		default:
			list = append(list, "unknown rule "+rule)
		}
	}
	return list
}

func isOf(kind string, value any) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	case []any:
		return kind == "array"
	default:
		return kind == "object"
	}
}
