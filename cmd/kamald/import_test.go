package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/release/kamal"
)

// A password that stood in Kamal's file is, read from the secrets file, the same to the byte.
func TestAnImportedPasswordIsReadBackAsItWas(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringOfN(rapid.RuneFrom([]rune("$%{}()\"\\\n a~é#='`!")), 1, 20, -1).Draw(t, "password")
		if strings.TrimSpace(password) == "" {
			return
		}
		quoted, err := json.Marshal(password) // a JSON text is a YAML text
		if err != nil {
			t.Fatal(err)
		}
		source := "service: shop\nimage: acme/shop\nservers: [h]\nregistry: {username: a, password: " + string(quoted) + "}\n"
		result, err := importText(source)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "secrets")
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if _, err := appendSecrets(path, result.Secrets); err != nil {
			t.Fatal(err)
		}
		found, err := secrets.Load(dir, []string{"secrets"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := found.Secret("KAMAL_REGISTRY_PASSWORD")
		if err != nil || !ok || got.Reveal() != password {
			data, _ := os.ReadFile(path)
			t.Fatalf("%q is %q (%v, %v) by the line\n%s", password, got.Reveal(), ok, err, data)
		}
	})
}

// An alias that has a command's name is for a person to rename: release/kamal lists the names, and the program has them.
func TestNoImportedAliasTakesTheNameOfACommand(t *testing.T) {
	for _, command := range newProgram(io.Discard, io.Discard).command().Commands() {
		source := "service: shop\nimage: acme/shop\nservers: [h]\naliases: {" + command.Name() + ": app details}\n"
		result, err := importText(source)
		if err != nil {
			t.Fatal(err)
		}
		if !command.Hidden && result.Report.Count(kamal.Todo) != 1 {
			t.Errorf("%s: the report says %v", command.Name(), result.Report)
		}
	}
}

// importText imports a configuration that has no file.
func importText(source string) (kamal.Result, error) {
	return kamal.Import("deploy.yml", kamal.Options{
		ReadFile: func(path string) ([]byte, error) {
			if path != "deploy.yml" {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(source), nil
		},
		ReadDir: func(string) ([]string, error) { return nil, nil },
	})
}
