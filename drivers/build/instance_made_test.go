package build

import (
	"strings"
	"testing"
)

func TestABuilderThatIsThereIsTakenAsItIsAndOneThatIsNotWholeIsMadeAnew(t *testing.T) {
	hybrid := private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://b@h\"\n}"
	for name, c := range map[string]struct {
		says  standInReply
		makes int
	}{
		"whole":     {standInReply{Out: "Name: x\nEndpoint:  default\nPlatforms: linux/amd64*\nEndpoint:  ssh://b@h\n"}, 0},
		"cut short": {standInReply{Out: "Name: x\nEndpoint:  default\n"}, 2},
		"elsewhere": {standInReply{Out: "Endpoint:  default\nEndpoint:  ssh://other@h\n"}, 2},
		"absent":    {standInReply{Err: "ERROR: no builder \"x\" found\n", Code: 1}, 2},
		"broken":    {standInReply{Err: "ERROR: permission denied\n", Code: 1}, -1},
	} {
		c.says.Begins = "docker buildx inspect"
		m := newMachine(t, append(tools(newest, true), c.says, standInReply{Begins: "docker buildx rm"}, standInReply{Begins: "docker buildx create"}, standInReply{Begins: "docker buildx build"})...)
		_, err := m.job(hybrid).Run(t.Context())
		made := 0
		for _, call := range m.calls() {
			if strings.HasPrefix(strings.Join(call.Argv, " "), "docker buildx create") {
				made++
			}
		}
		if c.makes < 0 {
			if err == nil || made > 0 || !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("%s: %v, made %d", name, err, made)
			}
		} else if err != nil || made != c.makes {
			t.Errorf("%s: %v, made %d, want %d", name, err, made, c.makes)
		}
	}
}

func TestHalfABuilderIsRemoved(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx inspect", Err: "no builder", Code: 1}, standInReply{Begins: "docker buildx rm"},
		standInReply{Begins: "docker buildx create", Once: true}, standInReply{Begins: "docker buildx create", Err: "ERROR: no route to host\n", Code: 1})...)
	_, err := m.job(private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://b@h\"\n}").Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "kamald-hybrid-docker-container-ssh---b-h-arm64 cannot be made") || !strings.Contains(err.Error(), "no route to host") {
		t.Error(err)
	}
	calls := m.calls()
	if last := strings.Join(calls[len(calls)-1].Argv, " "); last != "docker buildx rm kamald-hybrid-docker-container-ssh---b-h-arm64" {
		t.Errorf("the last was %s", last)
	}
}

func TestOtherSettingsMakeAnotherBuilder(t *testing.T) {
	seen := map[string]string{}
	for _, lines := range []string{"build { driver = \"docker-container\" }", "build { driver = \"kubernetes\" }", private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://b@h\"\n}",
		private + "build {\narch = [\"amd64\", \"arm64\", \"s390x\"]\nremote = \"ssh://b@h\"\n}", private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://c@h\"\n}",
		private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://b@h\"\nlocal = false\n}", "build { driver = \"cloud a/b\" }",
		"registry { server = \"127.0.0.1:5000\" }\nbuild { driver = \"docker-container\" }"} {
		r := newMachine(t).job(lines).Release
		here, there := split(r.Build, "amd64")
		name := instanceOf(r, toolchain{context: "default"}, here, there).name
		if before, twice := seen[name]; twice {
			t.Errorf("%s and %s share %s", before, lines, name)
		}
		if again := instanceOf(r, toolchain{context: "default"}, here, there).name; again != name {
			t.Errorf("%s: %s, then %s", lines, name, again)
		}
		seen[name] = lines
	}
}
