package release

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// both are the vocabularies of the two files.
var both = map[string]*blockSpec{"deploy.hcl": deploySpec, "kamald.hcl": bastionSpec}

func TestEveryNameSaysWhatItMeans(t *testing.T) {
	for file, spec := range both {
		walkSpecs(spec, "", func(path string, b *blockSpec) {
			if !strings.HasSuffix(b.meaning, ".") || strings.Contains(b.meaning, "\n") {
				t.Errorf("%s: block %s: its meaning %q is no sentence on one line", file, path, b.meaning)
			}
			for _, as := range b.attrs {
				where := fmt.Sprintf("%s: %s.%s", file, path, as.name)
				if as.meaning == "" || strings.HasSuffix(as.meaning, ".") || strings.Contains(as.meaning, "\n") {
					t.Errorf("%s: its meaning %q is no line", where, as.meaning)
				}
				if as.byDefault+as.rule+as.example == "" && as.enum == nil && as.kind != kindBool {
					t.Errorf("%s has neither a default nor an example", where)
				}
				if as.byDefault != "" && as.rule != "" {
					t.Errorf("%s has two defaults", where)
				}
			}
		})
	}
}

// Examples and defaults are what the decoder takes.
func TestEveryExampleAndDefaultIsTaken(t *testing.T) {
	for file, spec := range both {
		walkSpecs(spec, "", func(path string, b *blockSpec) {
			for _, as := range b.attrs {
				for _, text := range []string{as.example, as.byDefault} {
					if said := decoded(t, as, text); text != "" && said != "" {
						t.Errorf("%s: %s.%s = %s: %s", file, path, as.name, text, said)
					}
				}
			}
		})
	}
}

// decoded is what is said of an attribute with the value.
func decoded(t *testing.T, as attrSpec, text string) string {
	t.Helper()
	l := newLoader("x.hcl", memory(nil))
	file, diags := hclsyntax.ParseConfig([]byte(as.name+" = "+text+"\n"), "x.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		return diags.Error()
	}
	body := file.Body.(*hclsyntax.Body)
	l.files["x.hcl"] = file
	l.decodeAttr(body.Attributes[as.name], as, l.context(&source{body: &hclsyntax.Body{}}, "", nil))
	if l.result().Len() == 0 {
		return ""
	}
	return l.result().Error()
}

// What the reference calls a default is what holds: written out, it changes nothing.
func TestADefaultThatIsWrittenOutChangesNothing(t *testing.T) {
	seen := 0
	for path, frame := range frames {
		if path == "role.health" || path == "accessory.health" {
			frame = fmt.Sprintf(frame, "tcp = 1\n%s")
		}
		bare := plainly(t, fmt.Sprintf(frame, ""))
		for _, as := range specAt(t, path).attrs {
			if as.byDefault == "" || as.isRemoval() {
				continue
			}
			seen++
			if got := plainly(t, fmt.Sprintf(frame, as.name+" = "+as.byDefault)); got != bare {
				t.Errorf("%s.%s = %s is another release than none", path, as.name, as.byDefault)
			}
		}
	}
	if seen < 30 {
		t.Errorf("%d defaults were tried, want at least 30", seen)
	}
}

// plainly is the digest of a release and how it is kept, without the notes of what was written in the file.
func plainly(t *testing.T, text string) string {
	t.Helper()
	r := load(t, in(text+"\n", ""))
	forgetWhoSaidIt(&r)
	return Digest(r) + fmt.Sprint(r.Reconcile)
}

func specAt(t *testing.T, path string) *blockSpec {
	t.Helper()
	spec := deploySpec
	for _, name := range strings.Split(path, ".") {
		if name == "" {
			continue
		}
		if spec = spec.block(name); spec == nil {
			t.Fatalf("no block %s", path)
		}
	}
	return spec
}

// additions are the names that the reference files do not show.
var additions = map[string]string{
	"proxy_server.name":     "the container of a proxy that has another name than Kamal's",
	"version_policy":        "shown in a comment: it stands in place of version",
	"build.context":         "shown in a comment: source is another without it",
	"build.pack":            "shown in a comment: it stands in place of a Dockerfile",
	"build.pack.builder":    "see build.pack",
	"build.pack.buildpacks": "see build.pack",
	"version_policy.semver": "see version_policy", "version_policy.pattern": "see version_policy",
	"secrets.fetch.file": "which encrypted file age reads",
	"role.health.http":   "shown in a comment: one check excludes the others", "role.health.tcp": "the same", "role.health.log": "the same",
	"accessory.roles": "shown in a comment: it excludes hosts", "accessory.tags": "the same",
	"role.env.secret":   "as the root's env shows it",
	"store.etcd":        "shown in a comment: it stands in place of bolt",
	"store.ca":          "of etcd, named in a comment",
	"store.certificate": "of etcd, named in a comment", "store.key": "of etcd, named in a comment",
	"store.name": "of etcd", "store.lease": "of etcd",
	"store.username": "the same", "store.password": "the same", "store.secrets": "the same", "store.secrets.files": "the same",
	"locals": "holds names of the user's own",
}

func TestTheReferenceFilesAndTheVocabularyHoldTheSame(t *testing.T) {
	used := map[string]bool{}
	for file := range both {
		path := map[string]string{"deploy.hcl": "testdata/deploy.reference.hcl", "kamald.hcl": "testdata/kamald.reference.hcl"}[file]
		shown := namesIn(t, path)
		reference := ReferenceOf(file == "kamald.hcl")
		reference.Root.walk(func(b BlockDoc) {
			if b.As != "" || b.Name == "destination" {
				return // it is shown where it stands first, or is the whole
			}
			names := []string{}
			for _, a := range b.Attributes {
				ssh := b.Name == "host" && slices.ContainsFunc(sshAttrs(), func(s attrSpec) bool { return s.name == a.Name })
				if a.Name != "remove" && !ssh {
					names = append(names, a.Name)
				}
			}
			for _, child := range b.Blocks {
				if child.As == "" {
					names = append(names, child.Name)
				}
			}
			for _, name := range names {
				full := strings.TrimPrefix(b.Path+"."+name, ".")
				if _, added := additions[full]; added {
					used[full] = true
				} else if !shown[full] {
					t.Errorf("%s does not show %s", path, full)
				}
			}
		})
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			if _, _, err := reference.Find(strings.TrimPrefix(name, "destination.")); err != nil && !strings.HasPrefix(name, "locals.") {
				t.Errorf("%s shows %s, which the vocabulary does not have", path, name)
			}
		}
	}
	for name := range additions {
		if !used[name] {
			t.Errorf("the list of additions has %s, which the vocabulary does not", name)
		}
	}
}

// namesIn are the paths of a file's blocks and attributes, without labels.
func namesIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclsyntax.ParseConfig(data, path, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	names := map[string]bool{}
	var walk func(prefix string, body *hclsyntax.Body)
	walk = func(prefix string, body *hclsyntax.Body) {
		for name := range body.Attributes {
			names[prefix+name] = true
		}
		for _, b := range body.Blocks {
			names[prefix+b.Type] = true
			walk(prefix+b.Type+".", b.Body)
		}
	}
	walk("", file.Body.(*hclsyntax.Body))
	return names
}

func walkSpecs(spec *blockSpec, path string, visit func(path string, b *blockSpec)) {
	visit(path, spec)
	for _, child := range spec.blocks {
		walkSpecs(child, strings.TrimPrefix(path+"."+child.name, "."), visit)
	}
}

func TestAPathThatIsNotThereOffersTheNearest(t *testing.T) {
	r := ReferenceOf(false)
	for path, want := range map[string]string{
		"rol": `Did you mean "role"?`, "role.helth": `Did you mean "health"?`, "health": "There is role.health, accessory.health.",
		"role.health.exek": `Did you mean "exec"?`, "host.dial_limit": "There is ssh.dial_limit.", "servers": `Did you mean "role"?`,
	} {
		if _, _, err := r.Find(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: said %v, want %s", path, err, want)
		}
	}
	block, attribute, err := r.Find("role.proxy")
	if err != nil || attribute != nil || block.As != "proxy" {
		t.Errorf("role.proxy: %v, %q", err, block.As)
	}
	if _, attribute, err = r.Find("role.health.exec"); err != nil || attribute == nil || attribute.Name != "exec" {
		t.Errorf("role.health.exec: %v, %v", attribute, err)
	}
}
