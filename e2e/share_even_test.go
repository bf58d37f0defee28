package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of two apps each bastion comes to lead one, though the first to start has led both.
func TestBastionsShareTheirApps(t *testing.T) {
	onlyLong(t) // it waits for half a minute
	f := newFixture(t)
	f.image("v1", nil)
	sh := f.shares(settings{root: "version = \"v1\"", more: keeps}, nil)
	for _, b := range sh.bastions {
		text, err := os.ReadFile(filepath.Join(b.dir, "deploy.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		f.write(b.name+"/till.hcl", strings.Replace(string(text), `service = "shop"`, `service = "till"`, 1), 0o600)
		config, err := os.ReadFile(filepath.Join(b.dir, "kamald.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		f.write(b.name+"/kamald.hcl", string(config)+`
app "till" {
  mode = "report"
  source "file" { path = "till.hcl" }
}
`, 0o600)
	}
	f.must(0, "apply")
	first, second := sh.bastions[0], sh.bastions[1]
	leadsOf := func(b *bastion, app string) bool {
		s, ok := b.showsOf(app)
		return ok && s.Leader != nil && s.Leader.Self
	}
	first.start()
	f.eventually("the first leads both", func() bool { return leadsOf(first, "shop") && leadsOf(first, "till") })
	second.start()
	f.eventually("each leads one", func() bool {
		return leadsOf(first, "shop") != leadsOf(first, "till") && leadsOf(second, "shop") != leadsOf(second, "till")
	})
	sh.end()
}
