package build

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// The golden file has one section a build: "### name", the machine's tools and what is asked in a line after "#", the lines of the
// file, "--- runs", and what is run. KAMALD_GOLDEN=1 writes it anew.
func TestEverySettingComesToTheBuilder(t *testing.T) {
	const golden = "testdata/argv.txt"
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten strings.Builder
	sections := strings.Split(string(data), "### ")[1:]
	for _, section := range sections {
		name, rest, _ := strings.Cut(section, "\n")
		source, want, _ := strings.Cut(rest, "--- runs\n")
		how, lines, _ := strings.Cut(strings.TrimPrefix(source, "# "), "\n")
		var got string
		t.Run(name, func(t *testing.T) {
			got = runs(t, how, lines)
			if want = strings.TrimSpace(want); os.Getenv("KAMALD_GOLDEN") == "" && got != want {
				t.Errorf("%s\nruns\n%s\nwant\n%s", source, got, want)
			}
		})
		fmt.Fprintf(&rewritten, "### %s\n%s--- runs\n%s\n\n", name, source, got)
	}
	if len(sections) < 25 {
		t.Errorf("%d builds, want at least 25", len(sections))
	}
	if os.Getenv("KAMALD_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runs builds on a machine and says what was run, but for the questions that every build asks.
func runs(t *testing.T, how, lines string) string {
	words := strings.Fields(how)
	has := func(word string) bool { return slices.Contains(words, word) }
	version := newest
	if has("20.10") {
		version = ancient
	}
	replies := tools(version, has("buildx"))
	replies = append(replies, standInReply{Begins: "docker buildx inspect", Err: "ERROR: no builder found\n", Code: 1}, standInReply{Begins: "docker buildx rm", Code: 1},
		standInReply{Begins: "docker buildx create"}, standInReply{Begins: "docker buildx build", Metadata: `{"containerimage.digest":"sha256:abc"}`},
		standInReply{Begins: "docker build "}, standInReply{Begins: "pack build"})
	if has("engine-away") {
		replies[0] = standInReply{Begins: "docker version", Out: `{"Client":{"Version":"28.2.2"},"Server":null}`, Err: "Cannot connect to the Docker daemon\n", Code: 1}
	}
	m := newMachine(t, replies...)
	if has("docker-host") {
		t.Setenv("DOCKER_HOST", "tcp://10.0.0.7:2375")
	}
	if has("context") {
		data := strings.ReplaceAll(readText(t, m.dir+"/replies.json"), `"Out":"default\n"`, `"Out":"colima\n"`)
		writeText(t, m.dir+"/replies.json", data)
	}
	j := m.job(lines)
	j.Push, j.NoCache = has("push"), has("no-cache")
	result, err := j.Run(t.Context())
	var text strings.Builder
	for _, c := range m.calls() {
		line := strings.Join(c.Argv, " ")
		if slices.ContainsFunc([]string{"docker version", "docker buildx version", "docker context inspect"}, func(begins string) bool {
			return strings.HasPrefix(line, begins)
		}) {
			continue
		}
		if c.Stdin != "" {
			t.Errorf("%s reads %q", line, c.Stdin)
		}
		for _, arg := range c.Argv {
			fmt.Fprintf(&text, "%s ", quotedWord(arg))
		}
		fmt.Fprintf(&text, "\n%s", given(c))
	}
	if err != nil {
		fmt.Fprintf(&text, "error: %v\n", err)
	} else {
		fmt.Fprintf(&text, "made by %s; held %v at %q; pushed %v; digest %s; for %v\n", result.Builder, result.Held, result.Engine.Address, result.Pushed, result.Digest, result.Platforms)
	}
	if strings.Contains(text.String(), canary) || strings.Contains(m.seen(), canary) {
		t.Errorf("a secret is to be seen:\n%s%s", text.String(), m.seen())
	}
	return strings.TrimSpace(m.placed(j, text.String()))
}

// given are the variables that a call has besides this process's, with the values of those that are no secrets.
func given(c standInCall) string {
	mine := map[string]bool{}
	for _, v := range os.Environ() {
		mine[v] = true
	}
	more := map[string]string{}
	for _, v := range c.Env {
		if name, value, _ := strings.Cut(v, "="); !mine[v] && name != "PWD" {
			if strings.Contains(value, canary) {
				value = "(secret)"
			}
			more[name] = value
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(more)) {
		fmt.Fprintf(&text, "  %s=%s\n", name, more[name])
	}
	return text.String()
}

func quotedWord(arg string) string {
	if strings.ContainsAny(arg, " \"") {
		return fmt.Sprintf("%q", arg)
	}
	return arg
}

// placed puts names in the place of temporary directories.
func (m machine) placed(j Job, text string) string {
	text = strings.NewReplacer(j.Tree.Dir, "TREE", m.home, "HOME").Replace(text)
	var lines []string
	for line := range strings.Lines(text) {
		for _, kind := range []string{"kamald-build-", "kamald-docker-"} {
			if before, after, ok := strings.Cut(line, os.TempDir()+"/"+kind); ok {
				line = before + strings.ToUpper(strings.Trim(kind, "-")) + strings.TrimLeft(after, "0123456789")
			}
		}
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n")
}

func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeText(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
