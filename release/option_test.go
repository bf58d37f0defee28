package release

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDockerOptionsAreWrittenInOneWay(t *testing.T) {
	r := load(t, in(least+`
role "jobs" {
  hosts = ["h"]
  options = {
    memory = "512m", memory-swap = -1, shm-size = "1g", cpus = 0.5, cpu-shares = 512, init = false, read-only = false
    privileged = true, cap-add = ["SYS_TIME", "cap_net_admin", "SYS_TIME"], dns = ["9.9.9.9", "1.1.1.1"], publish = "127.0.0.1:8080:80"
    ulimit = "nofile=1024", restart = "on-failure:3", user = 1000, gpus = "all", net-alias = "jobs"
  }
}
`, ""))
	jobs := r.Roles[1]
	want := map[string][]string{
		"memory": {"536870912"}, "memory-swap": {"-1"}, "shm-size": {"1073741824"}, "cpus": {"500000000"}, "cpu-shares": {"512"},
		"init": {"false"}, "privileged": {"true"}, "cap-add": {"NET_ADMIN", "SYS_TIME"}, "dns": {"9.9.9.9", "1.1.1.1"},
		"publish": {"127.0.0.1:8080:80"}, "ulimit": {"nofile=1024:1024"}, "user": {"1000"}, "gpus": {"count=all"}, "network-alias": {"jobs"},
	}
	if diff := cmp.Diff(want, jobs.Options); diff != "" {
		t.Error(diff)
	}
	if jobs.Restart != "on-failure:3" || len(r.Unbuilt) > 0 {
		t.Errorf("restart is %q, unbuilt %v", jobs.Restart, r.Unbuilt)
	}
}

// writtenOptions has every option that a spec keeps: what may be written, and how it is kept.
var writtenOptions = []struct{ name, written, kept string }{
	{"memory", "1.5g", "1610612736"},
	{"memory", "512 MiB", "536870912"},
	{"memory-reservation", "64m", "67108864"},
	{"memory-swap", "-1", "-1"},
	{"memory-swappiness", "60", "60"},
	{"memory-swappiness", "-1", ""},
	{"shm-size", "64m", "67108864"},
	{"cpus", ".5", "500000000"},
	{"cpus", "2", "2000000000"},
	{"cpu-shares", "0512", "512"},
	{"cpu-period", "100000", "100000"},
	{"cpu-quota", "-1", "-1"},
	{"cpu-rt-period", "1000000", "1000000"},
	{"cpu-rt-runtime", "950000", "950000"},
	{"cpuset-cpus", "0-3,7", "0-3,7"},
	{"cpuset-mems", "0", "0"},
	{"pids-limit", "100", "100"},
	{"pids-limit", "0", ""},
	{"oom-kill-disable", "true", "true"},
	{"oom-score-adj", "-500", "-500"},
	{"blkio-weight", "300", "300"},
	{"cgroup-parent", "/docker-shop", "/docker-shop"},
	{"ulimit", "nofile=1024", "nofile=1024:1024"},
	{"storage-opt", "size=120G", "size=120G"},
	{"device", "/dev/fuse", "/dev/fuse:/dev/fuse:rwm"},
	{"device", "/dev/sda:/dev/xvda", "/dev/sda:/dev/xvda:rwm"},
	{"device", "/dev/sda:r", "/dev/sda:/dev/sda:r"},
	{"device", "nvidia.com/gpu=0", "nvidia.com/gpu=0"},
	{"device-cgroup-rule", "c 189:* rwm", "c 189:* rwm"},
	{"device-read-bps", "/dev/sda:1mb", "/dev/sda:1048576"},
	{"device-write-bps", "/dev/sda:10", "/dev/sda:10"},
	{"device-read-iops", "/dev/sda:1000", "/dev/sda:1000"},
	{"device-write-iops", "/dev/sda:1000", "/dev/sda:1000"},
	{"blkio-weight-device", "/dev/sda:500", "/dev/sda:500"},
	{"gpus", "all", "count=all"},
	{"gpus", "2", "count=2"},
	{"gpus", "-1", "count=all"},
	{"gpus", "capabilities=utility", "count=1,capabilities=utility"},
	{"gpus", `"device=0,1"`, `"device=0,1"`},
	{"gpus", `"capabilities=compute,utility",device=GPU-1,driver=nvidia,"options=b=2,a=1"`, `driver=nvidia,device=GPU-1,"capabilities=compute,utility","options=a=1,b=2"`},
	{"user", "app:staff", "app:staff"},
	{"workdir", "/srv/app/", "/srv/app"},
	{"hostname", "web-1.example.com", "web-1.example.com"},
	{"domainname", "example.com", "example.com"},
	{"entrypoint", "/bin/run", "/bin/run"},
	{"entrypoint", "", ""},
	{"init", "false", "false"},
	{"tty", "true", "true"},
	{"interactive", "false", ""},
	{"group-add", "audio", "audio"},
	{"runtime", "runsc", "runsc"},
	{"platform", "linux/arm64/v8", "linux/arm64/v8"},
	{"pid", "container:db", "container:db"},
	{"ipc", "shareable", "shareable"},
	{"uts", "host", "host"},
	{"cgroupns", "private", "private"},
	{"isolation", "default", "default"},
	{"annotation", "key=", "key="},
	{"privileged", "true", "true"},
	{"cap-add", "cap_sys_nice", "SYS_NICE"},
	{"cap-drop", "all", "ALL"},
	{"security-opt", "no-new-privileges:true", "no-new-privileges:true"},
	{"security-opt", `seccomp={ "defaultAction": "SCMP_ACT_ALLOW" }`, `seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`},
	{"security-opt", "systempaths=unconfined", "systempaths=unconfined"},
	{"sysctl", "net.core.somaxconn=1024", "net.core.somaxconn=1024"},
	{"userns", "host", "host"},
	{"read-only", "true", "true"},
	{"tmpfs", "/tmp:size=64m", "/tmp:size=64m"},
	{"mount", "type=bind,src=/srv,dst=/data,ro", "type=bind,source=/srv,target=/data,readonly"},
	{"mount", "src=data,target=/data,volume-nocopy", "type=volume,source=data,target=/data,volume-nocopy"},
	{"mount", `type=volume,target=/d,"volume-opt=o=addr=10.0.0.1,rw",volume-driver=local,volume-label=a`, `type=volume,target=/d,volume-label=a=,volume-driver=local,"volume-opt=o=addr=10.0.0.1,rw"`},
	{"mount", "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=01777", "type=tmpfs,target=/t,tmpfs-size=1048576,tmpfs-mode=1777"},
	{"mount", "type=bind,source=/s,target=/s,bind-propagation=RSLAVE,bind-nonrecursive=true,readonly=0", "type=bind,source=/s,target=/s,bind-propagation=rslave,bind-recursive=disabled"},
	{"mount", "type=image,source=acme/data,target=/d,image-subpath=x", "type=image,source=acme/data,target=/d,image-subpath=x"},
	{"volume-driver", "local", "local"},
	{"volumes-from", "data:ro", "data:ro"},
	{"publish", "8080:80/TCP", "8080:80"},
	{"publish", "53:53/udp", "53:53/udp"},
	{"publish", "[::1]:80:80", "[::1]:80:80"},
	{"publish", "::1:80:80", "[::1]:80:80"},
	{"publish", "127.0.0.1::80", "127.0.0.1::80"},
	{"publish", "8000-8001:80-81", "8000:80 8001:81"},
	{"publish", "8000-8010:80", "8000-8010:80"},
	{"publish", "published=8080,target=80,protocol=udp", "8080:80/udp"},
	{"publish-all", "true", "true"},
	{"expose", "9000-9001/udp", "9000/udp 9001/udp"},
	{"expose", "9000", "9000/tcp"},
	{"add-host", "db=[::1]", "db:::1"},
	{"add-host", "host.docker.internal:host-gateway", "host.docker.internal:host-gateway"},
	{"dns", "2001:DB8::1", "2001:db8::1"},
	{"dns-option", "ndots:2", "ndots:2"},
	{"dns-search", "corp.example.com.", "corp.example.com"},
	{"network-alias", "web", "web"},
	{"ip", "172.30.100.104", "172.30.100.104"},
	{"ip6", "2001:db8:0::33", "2001:db8::33"},
	{"link-local-ip", "169.254.34.68", "169.254.34.68"},
	{"mac-address", "92-D0-C6-0A-29-33", "92:d0:c6:0a:29:33"},
	{"link", "db:db", "db"},
	{"link", "shop-db:db", "shop-db:db"},
	{"health-cmd", "curl -f localhost || exit 1", "curl -f localhost || exit 1"},
	{"health-interval", "90s", "1m30s"},
	{"health-timeout", "5s", "5s"},
	{"health-start-period", "1m", "1m0s"},
	{"health-start-interval", "500ms", "500ms"},
	{"health-retries", "3", "3"},
	{"no-healthcheck", "true", "true"},
}

func TestEveryOptionHasACanonicalFormThatStaysAsItIs(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range writtenOptions {
		tested[c.name] = true
		kept, err := CanonicalOption(c.name, []string{c.written})
		if err != nil || strings.Join(kept, " ") != c.kept {
			t.Errorf("%s = %q is kept as %q (%v), want %q", c.name, c.written, kept, err, c.kept)
			continue
		}
		if len(kept) == 0 {
			continue
		}
		if again, err := CanonicalOption(c.name, kept); err != nil || !slices.Equal(again, kept) {
			t.Errorf("%s: %q becomes %q (%v)", c.name, kept, again, err)
		}
	}
	for _, name := range OptionNames() {
		if !tested[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// badOptions have at least one value for each option that takes not everything.
var badOptions = map[string][]string{
	"memory": {"lots", "-1", "0x10", "1e3", "inf"}, "memory-reservation": {"x"}, "memory-swap": {"-2"}, "memory-swappiness": {"101", "-2"},
	"shm-size": {"big"}, "cpus": {"0", "0.001", "all", "1/2", "1e2"}, "cpu-shares": {"-1", "x"}, "cpu-period": {"10"}, "cpu-quota": {"10"},
	"cpu-rt-period": {"x"}, "cpu-rt-runtime": {"x"}, "cpuset-cpus": {"0-", "a"}, "cpuset-mems": {"x"}, "pids-limit": {"-2", "many"},
	"oom-kill-disable": {"yes"}, "oom-score-adj": {"1001"}, "blkio-weight": {"5"}, "cgroup-parent": {""}, "storage-opt": {"size"},
	"ulimit": {"nofile", "nofiles=1", "nofile=2:1", "nofile=1:2:3"}, "device": {"fuse", "/dev/fuse:rw:rw:rw", "/dev/fuse:x", "/dev/null:/x:rr", "vendor/=1"},
	"device-cgroup-rule": {"c 189 rwm"}, "device-read-bps": {"/dev/sda", "sda:1", "/dev/sda:fast"}, "device-write-bps": {"/dev/sda"},
	"device-read-iops": {"/dev/sda:-1"}, "device-write-iops": {"/dev/sda:x"}, "blkio-weight-device": {"/dev/sda:5"},
	"gpus": {"some", "device=0,1", "capability=gpu", "count=1,count=2", "0", "device=", `"capabilities=,a"`, "options=a", "\"", ""},
	"user": {"a b", "1000:", ""}, "workdir": {"app"}, "hostname": {"a b", strings.Repeat("a", 64)}, "domainname": {""}, "init": {"maybe"}, "tty": {"1"},
	"interactive": {"x"}, "group-add": {""}, "runtime": {""}, "platform": {"arm64", "windows/amd64"}, "pid": {"private", "container:"}, "ipc": {"own"},
	"uts": {"x"}, "cgroupns": {"x"}, "isolation": {"hyperv"}, "annotation": {"a"}, "privileged": {"x"}, "cap-add": {"NET ADMIN", "CAP_", ""},
	"cap-drop": {"x-y"}, "security-opt": {"secomp=x", "seccomp=profile.json", "seccomp={", "no-new-privileges=yes", "systempaths=all", "label=", "x"},
	"sysctl": {"net.core.somaxconn", "kernel.panic=1", "vm.swappiness=1"}, "userns": {"private"}, "read-only": {"x"}, "tmpfs": {"tmp", "/tmp:", "/tmp:a b"},
	"mount": {"", "type=bind,source=srv,target=/d", "type=bind,target=/d", "type=bund,target=/d", "target=d", "type=tmpfs,source=a,target=/d",
		"type=bind,source=/a,target=/d,volume-nocopy", "type=bind,source=/a,target=/d,rw", "type=bind,source=/a,target=/d,bind-recursive=readonly",
		"type=bind,source=/a,target=/d,target=/e", "type=npipe,source=a,target=/d", "type=tmpfs,target=/d,tmpfs-mode=9", "target=/d,volume-opt=a=1,volume-opt=a=2"},
	"volume-driver": {""}, "volumes-from": {"a b", ""}, "publish": {"", "http", "80:80:80:80", "1.2.3:80:80", "70000:80", "80/icmp", "80-82:80-81", "81-80", "published=1,published=2"},
	"publish-all": {"x"}, "expose": {"", "a", "80:80", "80/icmp"}, "add-host": {"db", "db:here", ":10.0.0.1"}, "dns": {"here", "fe80::1%eth0"},
	"dns-option": {""}, "dns-search": {"a b", "-a"}, "network-alias": {""}, "ip": {"::1", "1.2.3"}, "ip6": {"1.2.3.4"}, "link-local-ip": {"x"},
	"mac-address": {"92:d0"}, "link": {":a", "a:b:c"}, "health-cmd": {""}, "health-interval": {"30", "-1s", "1us"}, "health-timeout": {"x"},
	"health-start-period": {"x"}, "health-start-interval": {"x"}, "health-retries": {"-1"}, "no-healthcheck": {"x"},
}

func TestEveryBadValueIsRefusedWithWhatIsGood(t *testing.T) {
	for _, name := range OptionNames() {
		if len(badOptions[name]) == 0 && name != "entrypoint" {
			t.Errorf("%s has no bad value", name)
		}
		for _, bad := range badOptions[name] {
			kept, err := CanonicalOption(name, []string{bad})
			if err == nil || !strings.HasPrefix(err.Error(), name+" ") {
				t.Errorf("%s = %q is kept as %q (%v)", name, bad, kept, err)
			}
		}
		if optionForms[name].many == justOne {
			if _, err := CanonicalOption(name, []string{"a", "b"}); err == nil {
				t.Errorf("%s took two values", name)
			}
		}
	}
}

func TestEveryOptionOfDockerRunHasAPlace(t *testing.T) {
	page, err := os.ReadFile("../docs/docker-options.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(dockerRunOptions) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the page of options does not have %s", name)
		}
		place, why, known := OptionPlace(name)
		if !known || place == "" && why == "" {
			t.Errorf("%s: place %q, why %q, known %v", name, place, why, known)
		}
	}
	for _, c := range []struct {
		name, place string
		known       bool
	}{{"memory", "options", true}, {"label", "options", true}, {"network", "network", true}, {"net-alias", "options", true}, {"rm", "", true}, {"memry", "", false}} {
		if place, _, known := OptionPlace(c.name); place != c.place || known != c.known {
			t.Errorf("%s: %q, %v", c.name, place, known)
		}
	}
	for _, name := range allOptions() {
		if !slices.Contains(strings.Fields(dockerRunOptions), name) {
			t.Errorf("docker run has no %s", name)
		}
	}
}

// dockerRunOptions is what `docker run` has in 29.7, the hidden ones and those of Windows too.
const dockerRunOptions = `add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile
cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device
device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-opt dns-option dns-search
domainname entrypoint env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period
health-timeout help hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip
log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name net net-alias network network-alias
no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime
security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts volume
volume-driver volumes-from workdir`

func TestAnOptionThatMeansASettingBecomesIt(t *testing.T) {
	r := load(t, in(least+`
labels = { team = "shop", color = "red" }
volumes = ["data:/data"]
env { clear = { LEVEL = "info", KEPT = "1" } }
logging {
  driver  = "local"
  options = { max-size = "1m" }
}
role "jobs" {
  hosts   = ["h"]
  labels  = { kind = "worker" }
  options = {
    label = ["color=blue", "kind=worker", "empty"], env = "LEVEL=debug", volume = ["more:/more:ro", "data:/data"]
    log-driver = "json-file", log-opt = ["max-file=3"], stop-signal = "QUIT", stop-timeout = 90, restart = "no"
  }
}
`, ""))
	jobs := r.Roles[1]
	want := Role{Name: "jobs", Hosts: []string{"h"}, Env: Env{Clear: map[string]string{"LEVEL": "debug", "KEPT": "1"}},
		Labels:  map[string]string{"team": "shop", "color": "blue", "kind": "worker", "empty": ""},
		Volumes: []string{"data:/data", "more:/more:ro"}, Restart: "no",
		Logging: Logging{Driver: "json-file", Options: map[string]string{"max-size": "10m", "max-file": "3"}}, Stop: Stop{Signal: "QUIT", Grace: 90e9}}
	if diff := cmp.Diff(want, jobs); diff != "" {
		t.Error(diff)
	}
}

func TestASeccompProfileIsReadWhereTheFileIs(t *testing.T) {
	files := map[string]string{
		"deploy.hcl":       least + "role \"jobs\" {\n  hosts = [\"h\"]\n  options = { security-opt = [\"seccomp=etc/profile.json\", \"label=disable\"] }\n}\n",
		"etc/profile.json": "{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\"\n}\n",
	}
	r := load(t, memory(files))
	if got := r.Roles[1].Options["security-opt"]; !slices.Equal(got, []string{"label=disable", `seccomp={"defaultAction":"SCMP_ACT_ERRNO"}`}) {
		t.Errorf("kept as %q", got)
	}
	delete(files, "etc/profile.json")
	if diags := Validate("deploy.hcl", memory(files)); diags.Len() > 0 {
		t.Errorf("validate reads no file: %v", diags.Error())
	}
	if _, diags := Load("deploy.hcl", memory(files)); diags.Len() != 1 || diags.List()[0].Line != 6 {
		t.Errorf("without the file: %v", diags.Error())
	}
}

func TestTheProxysContainerTakesOptionsToo(t *testing.T) {
	r := load(t, in(least+`
proxy_server {
  env     = { A = "1" }
  options = { memory = "512m", label = "team=shop", env = "B=2", mount = "type=bind,source=/srv,target=/srv" }
}
`, ""))
	want := ProxyServer{Declared: true, Name: defaultProxyName, Image: defaultProxyImage, HTTPPort: 80, HTTPSPort: 443, Publish: true, LogMaxSize: "10m",
		Options: map[string][]string{"memory": {"536870912"}, "mount": {"type=bind,source=/srv,target=/srv"}},
		Labels:  map[string]string{"team": "shop"}, Env: map[string]string{"A": "1", "B": "2"}}
	if diff := cmp.Diff(want, r.ProxyServer); diff != "" {
		t.Error(diff)
	}
}

func TestACanonicalOptionStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(OptionNames()).Draw(t, "option")
		cases := slices.DeleteFunc(slices.Clone(writtenOptions), func(c struct{ name, written, kept string }) bool { return c.name != name })
		var values []string
		for range rapid.IntRange(1, 3).Draw(t, "number") {
			c := rapid.SampledFrom(cases).Draw(t, "case")
			values = append(values, rapid.OneOf(rapid.Just(c.written), rapid.Map(rapid.StringMatching(`[0-9a-z:=,./ -]{0,4}`), func(s string) string {
				return c.written + s
			}), rapid.StringMatching(`[0-9]{1,12}[a-z]?`)).Draw(t, "value"))
		}
		staysAsItIs(t, name, values)
	})
}

// staysAsItIs holds what is accepted to its own canonical form.
func staysAsItIs(t interface{ Fatalf(string, ...any) }, name string, values []string) {
	kept, err := CanonicalOption(name, values)
	if err != nil || len(kept) == 0 {
		return
	}
	if again, err := CanonicalOption(name, kept); err != nil || !slices.Equal(again, kept) {
		t.Fatalf("%s: %q is kept as %q, which becomes %q (%v)", name, values, kept, again, err)
	}
}

// FuzzOptions looks for values that make the canonical form panic, hang, or change when it is read again.
func FuzzOptions(f *testing.F) {
	for _, c := range writtenOptions {
		f.Add(c.name, c.written, c.kept)
	}
	for name, bad := range badOptions {
		for _, value := range bad {
			f.Add(name, value, value)
		}
	}
	f.Fuzz(func(t *testing.T, name, a, b string) {
		if len(a)+len(b) > 10_000 {
			return
		}
		staysAsItIs(t, name, []string{a})
		staysAsItIs(t, name, []string{a, b})
		if strings.ContainsAny(name+a+b, "\"\\$%\n\r\x00") {
			return
		}
		diags := Validate("deploy.hcl", in(fmt.Sprintf("%srole \"jobs\" {\n  hosts = [\"h\"]\n  options = { %q = [%q, %q] }\n}\n", least, name, a, b), ""))
		_ = diags.Error()
	})
}
