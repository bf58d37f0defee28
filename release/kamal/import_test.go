package kamal

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// Each directory of testdata has Kamal's files, and what is made of them: deploy.hcl, report.txt, and the lines for the secrets
// file where there are any. KAMALD_GOLDEN=1 writes them.
func TestKamalsFilesBecomeTheFilesBesideThem(t *testing.T) {
	dirs := cases(t)
	if len(dirs) < 40 {
		t.Errorf("%d cases, want at least 40", len(dirs))
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			result, err := Import("config/deploy.yml", beside(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "deploy.hcl"), result.HCL)
			var report bytes.Buffer
			if err := result.Report.Text(&report); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "report.txt"), report.Bytes())
			golden(t, filepath.Join(dir, "secrets.txt"), secretsText(result.Secrets))
			loads(t, result.HCL)
		})
	}
}

func TestAnImportIsTheSameEveryTime(t *testing.T) {
	for _, dir := range cases(t) {
		first, err := Import("config/deploy.yml", beside(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			again, err := Import("config/deploy.yml", beside(t, dir))
			if err != nil || !bytes.Equal(first.HCL, again.HCL) || fmt.Sprint(first.Report) != fmt.Sprint(again.Report) {
				t.Fatalf("%s comes out differently: %v", dir, err)
			}
		}
	}
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/deploy.yml")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, file := range files {
		dirs = append(dirs, filepath.Dir(file))
	}
	return dirs
}

// beside is options that see a case's files as if they were Kamal's in config/. hooks.txt lists the hooks that there are.
func beside(t *testing.T, dir string) Options {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var hooks []string
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(entry.Name(), ".yml"):
			files["config/"+entry.Name()] = string(data)
		case entry.Name() == "hooks.txt":
			hooks = strings.Fields(string(data))
		}
	}
	return memory(files, hooks)
}

// memory is options that see the given files and nothing else.
func memory(files map[string]string, hooks []string) Options {
	return Options{
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		ReadDir: func(dir string) ([]string, error) {
			var names []string
			for path := range files {
				if filepath.Dir(path) == dir {
					names = append(names, filepath.Base(path))
				}
			}
			return names, nil
		},
		Executables: func(dir string) []string {
			if dir != ".kamal/hooks" {
				return nil
			}
			return slices.Clone(hooks)
		},
		KamaldVersion: "0.1.0",
	}
}

func secretsText(lines []SecretLine) []byte {
	var b strings.Builder
	for _, line := range lines {
		if line.Missing {
			b.WriteString("# ")
		}
		fmt.Fprintf(&b, "%s=%s\n", line.Name, line.Line.Reveal())
	}
	return []byte(b.String())
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("KAMALD_GOLDEN") != "" {
		if len(got) == 0 {
			_ = os.Remove(path)
			return
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && len(got) > 0 {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", path, got, want)
	}
}

// loads sees that every destination of a file is a release, with an environment that is made up.
func loads(t *testing.T, text []byte) {
	t.Helper()
	for _, destination := range append([]string{""}, destinationsOf(text)...) {
		if destination == "" && len(destinationsOf(text)) > 0 && !aloneToo(text) {
			continue
		}
		load(t, text, destination)
	}
}

// aloneToo tells whether a file is complete without a destination.
func aloneToo(text []byte) bool {
	base, _, _ := strings.Cut(string(text), "\ndestination ")
	return !strings.Contains(base, "require_destination") && strings.Contains(base, "hosts")
}

// destinationsOf are a file's destinations.
func destinationsOf(text []byte) []string {
	var names []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, `destination "`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			names = append(names, name)
		}
	}
	return names
}

// madeUp is an environment in which every variable is set.
func madeUp(name string) (string, bool) {
	if strings.Contains(name, "PORT") || strings.Contains(name, "TIMEOUT") {
		return "3000", true
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", "-")), true
}

func load(t fataler, text []byte, destination string) release.Release {
	t.Helper()
	r, diags := release.Load("deploy.hcl", release.Options{
		Destination: destination,
		Env:         madeUp,
		Git: func() (release.Git, error) {
			return release.Git{SHA: "0123456789abcdef", ShortSHA: "0123456", Branch: "main"}, nil
		},
		ReadFile: func(path string) ([]byte, error) {
			if filepath.Base(path) == "deploy.hcl" {
				return text, nil
			}
			return []byte("made-up"), nil
		},
		ReadDir:       func(string) ([]string, error) { return nil, nil },
		KamaldVersion: "0.1.0",
	})
	if diags.HasErrors() {
		t.Fatalf("%s\n%s", text, diags.Error())
	}
	return r
}

// fataler is a test, or one draw of a property.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}
