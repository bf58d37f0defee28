package release

import (
	"os"
	"strings"
	"testing"
)

// FuzzLoad looks for files that make the loader, its messages, or what reads a release panic or hang.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/deploy.reference.hcl", "testdata/mistakes.txt", "../deploy.hcl.example"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range strings.Split(string(data), "### ") {
			_, source, found := strings.Cut(section, "\n")
			source, _, _ = strings.Cut(source, "--- says\n")
			if found {
				f.Add(source)
			}
		}
	}
	f.Add(`image = [for s in [secret("A"), git.sha] : "${s}x"]`)
	f.Add(`volumes = split(",", "${secret("A")}${git.sha}")` + "\nlabels = { for k in [secret(\"A\")] : k => k }\ncmd = null")
	f.Fuzz(func(t *testing.T, source string) {
		files := map[string]string{"deploy.hcl": source, "deploy.eu.hcl": source}
		opts := memory(files)
		r, diags := Load("deploy.hcl", opts)
		_ = diags.Error()
		_ = Digest(r)
		_ = r.PrimaryHost()
		_ = Validate("deploy.hcl", opts).List()
		_ = ValidateBastion("deploy.hcl", opts).Error()
		_ = Format([]byte(source))
	})
}
