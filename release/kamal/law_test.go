package kamal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/release/kamal/ruby"
)

// The law of destinations: what deploy.hcl says with a destination is what Kamal's files say once they are merged.
func TestADestinationIsWhatKamalsMergedFilesSay(t *testing.T) {
	found := 0
	for _, dir := range cases(t) {
		opts := beside(t, dir)
		names, err := (&importer{path: "config/deploy.yml", opts: &opts}).destinations()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			found++
			t.Run(filepath.Base(dir)+" "+name, func(t *testing.T) { holdsTheLaw(t, opts, name) })
		}
	}
	if found < 5 {
		t.Errorf("%d destinations, want more", found)
	}
}

func TestTheLawHoldsForWhateverDestinationsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := "service: shop\nimage: acme/shop\nrequire_destination: true\n" + drawn(t, "base", false)
		over := drawn(t, "over", true)
		opts := memory(map[string]string{"config/deploy.yml": base, "config/deploy.eu.yml": over}, nil)
		holdsTheLaw(t, opts, "eu")
	})
}

// pieces are ways to write each key of the root.
var pieces = map[string][]string{
	"servers": {"[10.0.0.1]", "[10.0.0.1: eu, 10.0.0.2: [us, eu]]", "{web: [10.0.0.1], jobs: {hosts: [10.0.0.2], cmd: bin/jobs, proxy: {host: j.example.com}}}",
		"{web: {hosts: [10.0.0.3: eu], proxy: false, options: {memory: 1g, cpus: 2}}}", "{jobs: {hosts: [10.0.0.4], env: {clear: {A: own}, secret: [S]}}, web: [10.0.0.1]}",
		"{web: {hosts: [10.0.0.1], env: {B: 2}, logging: {options: {max-size: 5m}}, stop_timeout: 9, labels: {x: y}}}",
		"{web: [10.0.0.1: us], api: {hosts: [10.0.0.5], proxy: {app_port: 4000, healthcheck: {path: /a}}}}"},
	"env": {"{A: 1}", "{A: 2, B: 3}", "{clear: {A: 1, B: 1}, secret: [S, T:U]}", "{secret: [A]}", "{clear: {S: clear}}",
		"{clear: {C: 1}, secret: [S], tags: {eu: {A: eu}, us: {clear: {A: us}, secret: [B]}}}", "{tags: {eu: {D: 4}}}"},
	"proxy": {"{host: a.example.com}", "{hosts: [b.example.com], app_port: 3000}", "{healthcheck: {path: /b, interval: 2}, host: c.example.com}",
		"{buffering: {requests: false, memory: 1000}}", "{host: d.example.com, path_prefix: /d, run: {http_port: 8080}}", "{run: {http_port: 8081, debug: true}}",
		"{logging: {request_headers: [A]}, response_timeout: 5}"},
	"registry": {"{username: a, password: [P]}", "{server: r.example.com, username: [U], password: [P]}", "{server: localhost:5000}", "{username: a, password: inline-one}"},
	"ssh":      {"{user: deploy}", "{port: 2222, keys: [k]}", "{proxy: jump.example.com, config: false}", "{key_data: [K]}"},
	"labels":   {"{a: b}", "{a: c, d: e}", "{}"},
	"volumes":  {"[a:/a]", "[b:/b, c:/c]", "[]"},
	"logging":  {"{driver: local}", "{options: {max-size: 1m}}", "{driver: json-file, options: {a: b}}"},
	"boot":     {"{limit: 1}", "{limit: 50%, wait: 3}", "{parallel_roles: false}"},
	"accessories": {"{db: {image: 'pg:1', host: 10.0.0.9}}", "{db: {image: 'pg:2', hosts: [10.0.0.9, 10.0.0.8], env: {A: 1}}}",
		"{probe: {image: 'p:1', roles: [web], files: ['a:/a']}}", "{db: {image: 'pg:1', role: web, files: [{local: a, remote: /b}], port: 5432}, probe: {image: 'p:1', host: h}}"},
	"retain_containers": {"3", "5"}, "drain_timeout": {"20"}, "stop_timeout": {"15"}, "asset_path": {"/a", "/b:ro"},
	"builder": {"{arch: amd64}", "{arch: [amd64, arm64], args: {A: 1}}", "{args: {A: 2, B: 3}, cache: {type: gha}}"},
	"aliases": {"{c: app exec x}", "{c: app exec y, d: app logs}"},
}

// drawn is a file of some of the pieces; an overlay may also say nothing under a key.
func drawn(t *rapid.T, label string, over bool) string {
	var b strings.Builder
	for _, key := range []string{"servers", "env", "proxy", "registry", "ssh", "labels", "volumes", "logging", "boot", "accessories",
		"retain_containers", "drain_timeout", "stop_timeout", "asset_path", "builder", "aliases"} {
		texts := pieces[key]
		least := -1
		if !over && (key == "servers" || key == "registry") {
			least = 0
		}
		n := rapid.IntRange(least, len(texts)).Draw(t, label+" "+key)
		switch {
		case n >= 0 && n < len(texts):
			fmt.Fprintf(&b, "%s: %s\n", key, texts[n])
		case n == len(texts) && over && key != "servers":
			fmt.Fprintf(&b, "%s:\n", key)
		}
	}
	return b.String()
}

func holdsTheLaw(t fataler, opts Options, name string) {
	t.Helper()
	both := &importer{path: "config/deploy.yml", opts: &opts, ledger: &ledger{}}
	opts.Destinations = []string{name}
	result, refused := both.run()
	alone := &importer{path: "config/deploy.yml", opts: &opts, ledger: &ledger{}}
	base, err := alone.read("config/deploy.yml")
	if err != nil {
		t.Fatalf("%v", err)
	}
	over, err := alone.read(destinationFile("config/deploy.yml", name))
	if err != nil {
		t.Fatalf("%v", err)
	}
	merged, err := importTree(alone, name, ruby.Merge(base, over))
	if (err != nil) != (refused != nil) {
		t.Fatalf("as one file: %v; with the destination: %v", err, refused)
	}
	if err != nil {
		return // nothing that Kamal takes
	}
	want, got := load(t, without(merged), ""), load(t, result.HCL, name)
	if diff := cmp.Diff(plainly(want), plainly(got)); diff != "" {
		t.Fatalf("with the destination it is another release (-merged +destination):\n%s\n%s\nmerged:\n%s", diff, result.HCL, merged)
	}
	laid := lay(both.documents[0].root, destinationBlock(name, both.documents[0].root, both.documents[1].root, "").block)
	if diff := cmp.Diff(said(alone.documents[0].root), said(laid)); diff != "" {
		t.Fatalf("with the destination the file says something else (-merged +destination):\n%s\n%s", diff, result.HCL)
	}
}

func importTree(i *importer, name string, tree *ruby.Node) ([]byte, error) {
	i.translate(name, i.path, tree)
	i.documents[0].finish(i.ledger.own())
	return i.settle()
}

// without takes require_destination away: the merged file has none.
func without(text []byte) []byte {
	lines := strings.Split(string(text), "\n")
	return []byte(strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "require_destination") }), "\n"))
}

// plainly is a release without its destination, what is named after that, and places in the file.
func plainly(r release.Release) release.Release {
	for i := range r.Accessories {
		r.Accessories[i].Shared = false // which destinations name a container is known where all of them are
	}
	r.Destination, r.SecretFiles = "", nil
	if r.Registry != nil {
		registry := *r.Registry
		registry.PasswordSecret = strings.TrimSuffix(registry.PasswordSecret, "_"+"EU")
		registry.PasswordSecret = strings.TrimSuffix(registry.PasswordSecret, "_STAGING")
		r.Registry = &registry
	}
	r.Unbuilt = slices.Clone(r.Unbuilt)
	for n := range r.Unbuilt {
		r.Unbuilt[n].Where = ""
	}
	slices.SortFunc(r.Unbuilt, func(a, b release.Unbuilt) int { return strings.Compare(a.What, b.What) })
	return r
}

// lay is the overlay in the tests' own words.
func lay(base, over *block) *block {
	made := &block{name: base.name, label: base.label, fields: slices.Clone(base.fields)}
	for _, f := range over.fields {
		if f.note != nil {
			continue
		}
		n := slices.IndexFunc(made.fields, func(o *field) bool { return o.note == nil && o.name == f.name && labelOf(o) == labelOf(f) })
		switch {
		case f.block != nil && f.block.find("remove", "") != nil:
			if n >= 0 {
				made.fields = slices.Delete(made.fields, n, n+1)
			}
		case n < 0 && f.value != nothing:
			made.fields = append(made.fields, f)
		case n < 0:
		case f.block != nil:
			made.fields[n] = &field{name: f.name, block: lay(made.fields[n].block, f.block)}
		case f.value.kind == dictValue && made.fields[n].value.kind == dictValue && f.name != "hooks_output":
			dict := &value{kind: dictValue, dict: slices.Clone(made.fields[n].value.dict)}
			for _, e := range f.value.dict {
				dict.dict = slices.DeleteFunc(dict.dict, func(o *field) bool { return o.name == e.name })
				if e.value != nothing {
					dict.dict = append(dict.dict, e)
				}
			}
			made.fields[n] = &field{name: f.name, value: dict}
		case f.value == nothing:
			made.fields = slices.Delete(made.fields, n, n+1)
		default:
			made.fields[n] = f
		}
	}
	return made
}

// said is what a document says, without comments and in no order: one line a setting. Hosts that nothing names, what is shared, files of
// secrets (one more does no harm), and blocks in which nothing is said, do not count.
func said(root *block) []string {
	used := usedHosts(root)
	var lines []string
	var walk func(path string, b *block)
	walk = func(path string, b *block) {
		for _, f := range b.fields {
			at := path + " " + title(f.name, labelOf(f))
			switch {
			case f.note != nil || f.name == "shared" || f.name == "require_destination" || f.name == "secrets" || f.name == "host" && !used[quote(f.block.label)]:
			case f.block != nil:
				walk(at, f.block)
			case f.value.kind == dictValue:
				for _, e := range f.value.dict {
					text, _ := inline(e.value.at("none"))
					lines = append(lines, at+"."+e.name+" = "+text)
				}
			default:
				text, _ := inline(f.value.at("none"))
				text = strings.NewReplacer("_EU\"", "\"", "_STAGING\"", "\"").Replace(text)
				lines = append(lines, at+" = "+text)
			}
		}
	}
	walk("", root)
	slices.Sort(lines)
	return lines
}
