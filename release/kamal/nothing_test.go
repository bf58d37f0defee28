package kamal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// least is a configuration that lacks nothing.
const least = "service: shop\nimage: acme/shop\nregistry: {username: u, password: [P]}\nservers: [10.0.0.1]\n"

// imported is the file that comes of one text, and the report.
func imported(t *testing.T, source string) (string, Report) {
	t.Helper()
	result, err := Import("config/deploy.yml", memory(map[string]string{"config/deploy.yml": source}, nil))
	if err != nil {
		t.Fatal(err)
	}
	load(t, result.HCL, "")
	return string(result.HCL), result.Report
}

// has tells whether a report has a line about a key whose text holds a part.
func (r Report) has(key string, s Severity, part string) bool {
	return slices.ContainsFunc(r, func(l Line) bool {
		return l.Key == key && l.Severity == s && strings.Contains(l.String(), part)
	})
}

// Kamal looks only whether something is said there, and false says nothing.
func TestFalseInPlaceOfATextSaysNothing(t *testing.T) {
	for key, source := range map[string]string{
		"builder.remote":           "builder: {arch: amd64, remote: false}\n",
		"builder.target":           "builder: {arch: amd64, target: false}\n",
		"builder.dockerfile":       "builder: {arch: amd64, dockerfile: false}\n",
		"builder.ssh":              "builder: {arch: amd64, ssh: false}\n",
		"ssh.proxy":                "ssh: {user: deploy, proxy: false}\n",
		"ssh.proxy_command":        "ssh: {user: deploy, proxy_command: false}\n",
		"asset_path":               "asset_path: false\n",
		"error_pages_path":         "error_pages_path: off\n",
		"hooks_path":               "hooks_path: false\n",
		"secrets_path":             "secrets_path: false\n",
		"accessories.db.service":   "accessories: {db: {image: 'postgres:17', host: 10.0.0.1, service: false}}\n",
		"accessories.db.network":   "accessories: {db: {image: 'postgres:17', host: 10.0.0.1, network: false}}\n",
		"accessories.db.cmd":       "accessories: {db: {image: 'postgres:17', host: 10.0.0.1, cmd:}}\n",
		"builder.cache.image":      "builder: {arch: amd64, cache: {type: gha, image: }}\n",
		"accessories.db.registry":  "accessories: {db: {image: 'postgres:17', host: 10.0.0.1, registry: }}\n",
		"servers.web.asset_path":   "asset_path: /app/public\nservers: {web: {hosts: [10.0.0.1], asset_path: false}}\n",
		"servers.web.stop_timeout": "servers: {web: {hosts: [10.0.0.1], stop_timeout: }}\n",
	} {
		source = least + source
		if strings.Count(source, "servers:") > 1 {
			source = strings.Replace(source, "servers: [10.0.0.1]\n", "", 1)
		}
		text, report := imported(t, source)
		if strings.Contains(text, "false") || !report.has(key, Translated, "nothing is said") {
			t.Errorf("%s: it is\n%s\n%v", key, text, report)
		}
	}
}

func TestProvenanceOfFalseIsSaidToDocker(t *testing.T) {
	text, _ := imported(t, least+"builder: {arch: amd64, provenance: false}\n")
	if !strings.Contains(text, `provenance = "false"`) {
		t.Errorf("it is\n%s", text)
	}
}

// Kamal hands such a variable to Docker as a bare name: it is not set in the container, and of a build argument Docker takes what
// the Dockerfile says.
func TestABlankValueSetsNothing(t *testing.T) {
	for _, blank := range []string{`""`, `"  "`, `"\t"`, "'\u00a0'"} {
		text, report := imported(t, least+"env: {clear: {LEVEL: "+blank+"}}\nbuilder: {arch: amd64, args: {EXTRA: "+blank+"}}\n")
		if strings.Contains(text, "LEVEL") || !report.has("env.clear.LEVEL", Dropped, "bare name") {
			t.Errorf("env: it is\n%s\n%v", text, report)
		}
		if strings.Contains(text, "EXTRA") || !report.has("builder.args.EXTRA", Dropped, "bare name") {
			t.Errorf("args: it is\n%s\n%v", text, report)
		}
	}
}

// What stands among the options and in a place of its own is there once; docker run takes the options last, and the last one counts.
func TestWhatStandsAmongOptionsIsNotLostBesideItsOwnKey(t *testing.T) {
	text, _ := imported(t, strings.Replace(least, "servers: [10.0.0.1]\n", "", 1)+`servers:
  web:
    hosts: [10.0.0.1]
    options: {env: [A=1, B=1], label: [a=1, b=1], log-driver: local, log-opt: x=1}
    env: {clear: {B: 2, C: 2}}
    labels: {b: 2, c: 2}
    logging: {options: {x: 2, y: 2}}
accessories:
  db:
    image: postgres
    host: 10.0.0.1
    options: {volume: "a:/a"}
    volumes: ["b:/b"]
`)
	for _, want := range []string{`{ B = "1", C = "2", A = "1" }`, `{ b = "1", c = "2", a = "1" }`, `{ x = "1", y = "2" }`, `["a:/a", "b:/b"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
}

func TestASecretLineDoesNotPrintItsValue(t *testing.T) {
	result, err := Import("config/deploy.yml", memory(map[string]string{"config/deploy.yml": least + "ssh: {key_data: [\"not a name, a key\"]}\n"}, nil))
	if err != nil || len(result.Secrets) == 0 {
		t.Fatal(err, result.Secrets)
	}
	if printed := fmt.Sprintf("%v %+v %#v", result, result, result); strings.Contains(printed, "a key") {
		t.Errorf("it prints as %s", printed)
	}
}

func TestAListWhereAPathBelongsIsNotSaidToWantAHash(t *testing.T) {
	if _, report := imported(t, least+"hooks_path: [a]\n"); !report.has("hooks_path", Dropped, "Kamal takes a text here, not a list") {
		t.Errorf("it says %v", report)
	}
}

func TestAListWhereANumberBelongsIsForAPersonAndSaysWhy(t *testing.T) {
	text, report := imported(t, least+"deploy_timeout: <%= ENV[\"X\"].split(\",\") %>\n")
	if !strings.Contains(text, "# deploy_timeout: a list stands where a number belongs.") || !report.has("deploy_timeout", Todo, "a list stands where a number belongs") {
		t.Errorf("it is\n%s\nit says %v", text, report)
	}
}
