package release

import (
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
    privileged = true, cap-add = ["SYS_TIME", "NET_ADMIN", "SYS_TIME"], dns = ["9.9.9.9", "1.1.1.1"], publish = "127.0.0.1:8080:80"
    ulimit = "nofile=1024", restart = "on-failure:3", user = 1000, gpus = "all"
  }
}
`, ""))
	jobs := r.Roles[1]
	want := map[string][]string{
		"memory": {"536870912"}, "memory-swap": {"-1"}, "shm-size": {"1073741824"}, "cpus": {"500000000"}, "cpu-shares": {"512"},
		"init": {"false"}, "privileged": {"true"}, "cap-add": {"NET_ADMIN", "SYS_TIME"}, "dns": {"9.9.9.9", "1.1.1.1"},
		"publish": {"127.0.0.1:8080:80"}, "ulimit": {"nofile=1024:1024"}, "user": {"1000"},
	}
	if diff := cmp.Diff(want, jobs.Options); diff != "" {
		t.Error(diff)
	}
	if jobs.Restart != "on-failure:3" {
		t.Errorf("restart is %q", jobs.Restart)
	}
	if len(r.Unbuilt) != 1 || r.Unbuilt[0] != (Unbuilt{What: `role "jobs".options.gpus`, Where: "deploy.hcl:10", When: "plan"}) {
		t.Errorf("unbuilt: %v", r.Unbuilt)
	}
}

func TestACanonicalOptionStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]optionKind{optionSize, optionSwap, optionInt, optionUlimit, optionFlag, optionText}).Draw(t, "kind")
		raw := rapid.OneOf(rapid.StringMatching(`[0-9]{1,5}[bkmg]?`), rapid.StringMatching(`nofile=[0-9]{1,4}`),
			rapid.SampledFrom([]string{"-1", "true", "false"})).Draw(t, "value")
		once, problem := canonicalOne(kind, raw)
		if problem != "" || once == "" {
			return
		}
		if twice, problem := canonicalOne(kind, once); problem != "" || twice != once {
			t.Fatalf("%q becomes %q, then %q (%s)", raw, once, twice, problem)
		}
	})
}
