package kamal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// canary stands in the place of every inline password that a fuzzed file has.
const canary = "c4narypassw0rd"

// FuzzImport looks for configurations that make the import panic or hang, of which no valid file comes, or a secret of which is shown.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*/deploy.yml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		base, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		over, _ := os.ReadFile(strings.TrimSuffix(file, ".yml") + ".staging.yml") // most have none
		f.Add(string(base), string(over))
	}
	keys, err := os.ReadFile("testdata/keys.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(keys), "\n-- ")[1:] {
		_, body, _ := strings.Cut(section, " --\n")
		source, _, _ := strings.Cut(body, "\n---\n")
		f.Add(completed(source), "")
	}
	f.Add("service: shop\nimage: acme/shop\nservers: [h]\nregistry:\n  username: u\n  password: "+canary+"\n", "registry: {password: "+canary+"}\nssh: {key_data: ['"+canary+" x']}")
	f.Fuzz(func(t *testing.T, base, over string) {
		opts := memory(map[string]string{"config/deploy.yml": base, "config/deploy.staging.yml": over}, []string{"pre-deploy"})
		result, err := Import("config/deploy.yml", opts)
		var said bytes.Buffer
		_ = result.Report.Text(&said)
		if err != nil {
			said.WriteString(err.Error())
			if strings.Contains(err.Error(), "kamald's mistake") {
				t.Fatal(err)
			}
		}
		for _, line := range result.Secrets {
			shown := strings.Trim(line.Line.Reveal(), `'"`)
			if strings.Contains(shown, canary) && (strings.Contains(said.String(), shown) || bytes.Contains(result.HCL, []byte(shown)) && !strings.Contains(commonText(base, over), shown)) {
				t.Fatalf("%s is shown:\n%s\n%s", shown, said.String(), result.HCL)
			}
		}
		if err == nil {
			if diags := release.Validate("deploy.hcl", release.Options{ReadFile: func(string) ([]byte, error) { return result.HCL, nil },
				ReadDir: func(string) ([]string, error) { return nil, nil }}); diags.HasErrors() {
				t.Fatalf("%s\n%s", result.HCL, diags.Error())
			}
			if !bytes.Equal(release.Format(result.HCL), result.HCL) {
				t.Fatalf("not formatted:\n%s", result.HCL)
			}
		}
	})
}

// commonText is where a secret's text may stand besides, and then is in deploy.hcl for another reason: once it is out of the lines
// that give secrets.
func commonText(sources ...string) string {
	var b strings.Builder
	for _, source := range sources {
		for line := range strings.SplitSeq(source, "\n") {
			if !strings.Contains(line, "password") && !strings.Contains(line, "key_data") {
				b.WriteString(line + "\n")
			}
		}
	}
	return b.String()
}
