package release

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// frames are where the attributes of a block that this build carries out stand in a file.
var frames = map[string]string{
	"": least + "role \"jobs\" { hosts = [\"10.0.0.2\"] }\n%s", "ssh": least + "ssh { %s }", "host": least + "host \"10.0.0.1\" { %s }",
	"tag": least + "role \"jobs\" { hosts = [\"10.0.0.2\"] }\ntag \"t\" {\nenv { clear = { A = \"b\" } }\n%s\n}", "tag.env": least + "tag \"t\" {\nenv { %s }\n}",
	"secrets": least + "secrets { %s }", "env": least + "env { %s }",
	"proxy": least + "proxy { %s }", "proxy.healthcheck": least + "proxy {\nhealthcheck { %s }\n}",
	"proxy.buffering": least + "proxy {\nbuffering { %s }\n}", "proxy.logging": least + "proxy {\nlogging { %s }\n}",
	"role":     least + "role \"last\" { hosts = [\"10.0.0.2\"] }\nhost \"10.0.0.3\" { tags = [\"t\"] }\nrole \"jobs\" {\nhosts = [\"10.0.0.4\"]\n%s\n}",
	"role.env": least + "env { clear = { ROOTS = \"b\" } }\nrole \"jobs\" {\nhosts = [\"10.0.0.1\"]\nenv { %s }\n}", "role.health": least + "role \"jobs\" {\nhosts = [\"10.0.0.1\"]\nhealth {\n%s\n}\n}",
	"role.stop": least + "role \"jobs\" {\nhosts = [\"10.0.0.1\"]\nstop { %s }\n}", "role.logging": least + "role \"jobs\" {\nhosts = [\"10.0.0.1\"]\nlogging { %s }\n}",
	"role.proxy":             least + "role \"jobs\" {\nhosts = [\"10.0.0.2\"]\nproxy { %s }\n}",
	"role.proxy.healthcheck": least + "role \"jobs\" {\nhosts = [\"10.0.0.2\"]\nproxy {\nhealthcheck { %s }\n}\n}",
	"role.proxy.buffering":   least + "role \"jobs\" {\nhosts = [\"10.0.0.2\"]\nproxy {\nbuffering { %s }\n}\n}",
	"role.proxy.logging":     least + "role \"jobs\" {\nhosts = [\"10.0.0.2\"]\nproxy {\nlogging { %s }\n}\n}",
	"registry":               least + "registry {\nusername = \"u\"\npassword = secret(\"P\")\n%s\n}", "secrets.fetch": least + "secrets {\nfetch \"doppler\" { %s }\n}",
	"logging": least + "logging { %s }", "rollout": least + "rollout { %s }", "rollout.canary": least + "rollout {\ncanary {\npercent = 5\nhold = \"1m\"\n%s\n}\n}", "proxy_server": least + "proxy_server { %s }", "output": least + "output { %s }",
	"build": least + "registry { server = \"registry.example.com\" }\nbuild { %s }", "build.cache": least + "build {\ncache {\ntype = \"registry\"\n%s\n}\n}", "build.pack": least + "build {\npack {\nbuilder = \"b\"\n%s\n}\n}",
	"hook":      least + "hook \"h\" {\nat = \"pre-deploy\"\nrun = [\"a\"]\n%s\n}",
	"reconcile": least + "reconcile { %s }", "reconcile.freeze": least + "reconcile {\nfreeze \"f\" {\nfrom = \"17:00\"\nto = \"09:00\"\n%s\n}\n}",
	"version_policy": least + "version_policy {\nsemver = \"~> 2.1\"\n%s\n}",
	"accessory":      besideFrame("%s"), "accessory.env": besideFrame("env { %s }"), "accessory.file": besideFrame("file \"f\" {\nto = \"/f\"\n%s\n}"),
	"accessory.directory": besideFrame("directory \"d\" {\nto = \"/d\"\n%s\n}"),
	"accessory.registry":  besideFrame("registry {\nusername = \"u\"\npassword = secret(\"P\")\n%s\n}"), "accessory.health": besideFrame("health {\n%s\n}"),
	"accessory.stop": besideFrame("stop { %s }"), "accessory.logging": besideFrame("logging { %s }"),
	"accessory.proxy":             besideFrame("proxied = true\nproxy { %s }"),
	"accessory.proxy.healthcheck": besideFrame("proxied = true\nproxy {\nhealthcheck { %s }\n}"),
	"accessory.proxy.buffering":   besideFrame("proxied = true\nproxy {\nbuffering { %s }\n}"),
	"accessory.proxy.logging":     besideFrame("proxied = true\nproxy {\nlogging { %s }\n}"),
}

// besideFrame is a file with an accessory that says something.
func besideFrame(says string) string {
	return least + "accessory \"redis\" {\nimage = \"redis:7\"\nhosts = [\"10.0.0.9\"]\n" + says + "\n}"
}

// effects are values for attributes whose example or kind gives none that fits the frame.
var effects = map[string]string{
	".service": "", ".image": "", ".version": `"v9"`, ".primary_role": `"jobs"`, // service and image stand in every frame
	".volumes": `["/a:/b"]`, "proxy.path_prefixes": `["/x"]`, "role.hosts": "", "role.tags": `["t"]`, "role.depends_on": `["last"]`, "role.options": `{ cpus = 2 }`,
	"role.volumes": `["/a:/b"]`, "role.env.remove": `["ROOTS"]`, "tag.roles": `["jobs"]`, "proxy_server.image": `"kamald/proxy:9"`,
	"proxy_server.bind": `["127.0.0.1"]`, "proxy_server.options": `{ cpus = 2 }`, "role.proxied": "true", ".retain_containers": "9",
	"proxy.forward_headers": "false", "role.proxy.forward_headers": "false", "role.proxy.path_prefixes": `["/x"]`, "proxy_server.driver": "none",
	"proxy_server.args": "none",                                               // TestTraefikIsReadIntoARelease has them
	"proxy.ssl":         "", "proxy.certificate": "", "proxy.private_key": "", // they need each other: TestACertificateIsReadIntoItsRole has them
	"role.proxy.ssl": "", "role.proxy.certificate": "", "role.proxy.private_key": "",
	"accessory.proxy.ssl": "", "accessory.proxy.certificate": "", "accessory.proxy.private_key": "", // TestAnAccessoryBehindTheProxyIsReadIntoARelease has them
	"accessory.proxy.forward_headers": "false", "accessory.proxy.path_prefixes": `["/x"]`, "accessory.proxy.healthcheck.path": `"/other"`,
	"rollout.canary.percent": "", "rollout.canary.hold": "", // each needs the other: TestACanaryIsReadIntoTheRelease has them
	".hooks_path": "none", ".hooks_output": "none", // TestExecutablesAreFoundByTheirNames has them
	"hook.at": "", "hook.run": "", "hook.on": `["config"]`, "hook.role": "", "hook.secrets": `["SLACK_TOKEN"]`, // TestAHookIsReadIntoTheRelease has them
	"reconcile.ignore": `["env"]`, "reconcile.freeze.from": "", "reconcile.freeze.to": "",
	"reconcile.freeze.days": `["mon"]`, "reconcile.freeze.zone": `"Europe/Berlin"`, // TestTheReconcileBlockIsRead has them
	"version_policy.semver": "", "version_policy.pattern": "", // one of them must be there: TestAPolicyStandsInPlaceOfTheCommit has it
	"registry.username": "", "registry.password": "", // each needs the other: TestARegistrysLoginIsRead has them
	"secrets.fetch.file": "", "secrets.fetch.identity": "", // age's alone: TestFetchBlocksAreReadAndADestinationAddsItsOwn has them
	"build.dockerfile": `"docker/Dockerfile"`, "build.local": "", "build.cache.type": "", "build.pack.builder": "", // TestABuildIsReadIntoARelease has them
	"proxy.healthcheck.path": `"/other"`, "role.proxy.healthcheck.path": `"/other"`, "host.host_keys": `"accept-new"`, "secrets.files": `["other"]`,
	"role.health.interval": "tcp", "role.health.timeout": "tcp", "role.health.min_healthy_time": "tcp",
	".error_pages_path": "",                                                                                                     // TestErrorPagesArePartOfTheRelease has it
	"role.asset_path":   "",                                                                                                     // of a proxied role alone: TestARolesAssetsAreItsOwnThenTheRoots has it
	"accessory.image":   "", "accessory.service": `"cache"`, "accessory.hosts": "", "accessory.roles": "", "accessory.tags": "", // TestAnAccessoryIsReadIntoARelease has them
	"accessory.volumes": `["a:/a"]`, "accessory.options": `{ cpus = 2 }`, "accessory.on_change": `"ignore"`, "accessory.file.to": "", "accessory.directory.to": "",
	"accessory.network": `"other"`, "accessory.registry.username": "", "accessory.registry.password": "", "accessory.stop.grace": `"2m"`,
	"accessory.health.interval": "tcp", "accessory.health.timeout": "tcp", "accessory.health.min_healthy_time": "tcp",
	".require_destination": "none", ".allow_empty_roles": "none", ".minimum_version": "none", // they permit and refuse, and change nothing
}

// Each attribute that this build carries out is in the release: written with another value than what holds without it, it makes
// another one.
func TestEveryAttributeMakesAnotherRelease(t *testing.T) {
	seen := 0
	for _, path := range slices.Sorted(maps.Keys(frames)) {
		frame := frames[path]
		spec := specAt(t, path)
		for _, as := range spec.attrs {
			name := path + "." + as.name
			value, given := effects[name]
			if _, not := unbuilt[strings.TrimPrefix(name, ".")]; not || as.name == "remove" || value == "none" || given && value == "" {
				continue
			}
			with, without := "%s", ""
			if value == "tcp" {
				with, without, value = "tcp = 1\n%s", "tcp = 1", `"2s"`
			} else if path == "role.health" || path == "accessory.health" {
				without = "tcp = 7"
			}
			if value == "" {
				value = otherThanDefault(as)
			}
			seen++
			before := compiledText(t, fmt.Sprintf(frame, without))
			after := compiledText(t, fmt.Sprintf(frame, fmt.Sprintf(with, as.name+" = "+value)))
			if before == after {
				t.Errorf("%s = %s changes nothing", strings.TrimPrefix(name, "."), value)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d attributes were tried, want at least 100", seen)
	}
}

// A block without a frame would be left out of what is tried, and nobody would be told.
func TestEveryBlockThatThisBuildCarriesOutHasAFrame(t *testing.T) {
	walkSpecs(deploySpec, "", func(path string, b *blockSpec) {
		outermost, _, _ := strings.Cut(path, ".")
		if _, not := unbuilt[path]; not || unbuilt[outermost] != "" || outermost == "destination" || path == "locals" || path == "alias" { // TestAnAliasIsSplitAndMayBeginWithAnother has that
			return
		}
		if _, there := frames[path]; !there {
			t.Errorf("%s has no frame", path)
		}
	})
}

// otherThanDefault is a value that the attribute takes and that does not hold without it.
func otherThanDefault(as attrSpec) string {
	switch {
	case as.enum != nil:
		i := slices.IndexFunc(as.enum, func(v string) bool { return fmt.Sprintf("%q", v) != as.byDefault })
		return fmt.Sprintf("%q", as.enum[i])
	case as.kind == kindBool && as.byDefault == "true":
		return "false"
	case as.kind == kindBool:
		return "true"
	case as.kind == kindInt:
		return "17"
	case as.kind == kindDuration:
		return `"29s"`
	case as.kind == kindSize:
		return `"3m"`
	case as.example != "" && as.example != as.byDefault && as.kind != kindSSHConfig:
		return as.example
	case as.kind == kindStrings || as.kind == kindCommand || as.kind == kindSSHConfig:
		return `["other"]`
	case as.kind == kindSecrets:
		return `[secret("OTHER")]`
	case as.kind == kindStringMap || as.kind == kindEnvMap:
		return `{ OTHER = "b" }`
	case as.kind == kindLimit:
		return "1"
	case as.kind == kindShare:
		return `"41%"`
	}
	return `"other"`
}

// compiledText is all of a release that a run knows of.
func compiledText(t *testing.T, text string) string {
	t.Helper()
	r, diags := Load("deploy.hcl", in(text+"\n", ""))
	if diags.HasErrors() {
		t.Errorf("%s\n%s", text, diags.Error())
	}
	r.Unbuilt = nil
	forgetWhoSaidIt(&r)
	data, err := json.Marshal([]any{r, r.Build, r.Reconcile, r.Hooks})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What could have no effect is refused, and not left out in silence.
func TestWhatWouldHaveNoEffectIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"proxy_server {\n options = { publish = \"8080:80\" }\n}\n":                                                             "",
		"proxy_server {\n options = { restart = \"no\" }\n}\n":                                                                  "the proxy always starts again",
		"ssh {\n jump = \"ops@b\"\n proxy_command = \"ssh -W %h:%p b\"\n}\n":                                                    "jump and proxy_command are two ways",
		"ssh { jump = \"ops@b\" }\nhost \"10.0.0.1\" { proxy_command = \"nc %h %p\" }\n":                                        "jump and proxy_command are two ways",
		"ssh { jump = \"ops@b\" }\nhost \"10.0.0.1\" {\n jump = \"\"\n proxy_command = \"nc %h %p\"\n}\n":                       "",
		"host \"10.0.0.1\" { dial_limit = 2 }\n":                                                                                "dial_limit is about all hosts together",
		"role \"jobs\" {\n hosts = [\"h\"]\n health {\n tcp = 1\n min_healthy_time = \"30s\"\n }\n}\n":                          "no release could succeed",
		"deploy_timeout = \"1m\"\nrole \"jobs\" {\n hosts = [\"h\"]\n health {\n tcp = 1\n min_healthy_time = \"30s\"\n }\n}\n": "",
		"deploy_timeout = \"5s\"\nrole \"jobs\" { hosts = [\"h\"] }\n":                                                          "role \"jobs\" has no health check, so it must run for readiness_delay (7s)",
		"deploy_timeout = \"5s\"\n": "",
	} {
		if got := said(in(least+text, ""), Options{}); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}
