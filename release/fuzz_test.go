package release

import (
	"os"
	"strings"
	"testing"
	"time"
)

// FuzzLoad looks for files that make the loader, its messages, or what reads a release panic or hang, and for messages that show a
// secret that was written out before the rest of the file.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/deploy.reference.hcl", "testdata/kamald.reference.hcl", "testdata/mistakes.txt", "../deploy.hcl.example"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i, section := range strings.Split(string(data), "### ") {
			_, source, found := strings.Cut(section, "\n")
			source, _, _ = strings.Cut(source, "--- says\n")
			if found {
				f.Add(source, byte(i))
			}
		}
	}
	f.Add(`image = [for s in [secret("A"), git.sha] : "${s}x"]`, byte(0))
	f.Add(`volumes = split(",", "${secret("A")}${git.sha}")`+"\nlabels = { for k in [secret(\"A\")] : k => k }\ncmd = null", byte(1))
	f.Fuzz(func(t *testing.T, source string, leak byte) {
		if strings.Contains(source, canary) {
			return
		}
		watchdog := time.AfterFunc(time.Minute, func() { panic("the loader hangs") })
		defer watchdog.Stop()
		opts := memory(map[string]string{"deploy.hcl": source, "deploy.eu.hcl": source})
		r, text, diags := Resolve("deploy.hcl", opts)
		_ = diags.Error()
		_ = Digest(r)
		_ = r.PrimaryHost()
		if !diags.HasErrors() {
			if said := Validate("deploy.hcl", memory(map[string]string{"deploy.hcl": string(text)})); said.HasErrors() {
				t.Errorf("what it comes to is not valid: %s\n%s", said.Error(), text)
			}
		}
		_ = Format([]byte(source))
		if printed := everythingSaid(t, leaks[int(leak)%len(leaks)]+source); strings.Contains(printed, canary) {
			t.Errorf("a secret is shown:\n%s", printed)
		}
	})
}
