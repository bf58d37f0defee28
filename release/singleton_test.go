package release

import (
	"strings"
	"testing"
)

func TestASingletonOnSeveralHostsIsWarnedOf(t *testing.T) {
	for hosts, warned := range map[string]bool{`["a"]`: false, `["a", "b", "c"]`: true} {
		_, diags := Load("deploy.hcl", in(least+"role \"cron\" {\n  hosts = "+hosts+"\n  singleton = true\n}\n", ""))
		if diags.Err() != nil {
			t.Fatal(diags.Err())
		}
		said := ""
		for _, d := range diags.List() {
			said += d.Severity + ": " + d.Detail
		}
		if strings.Contains(said, "warning") != warned || warned && !strings.Contains(said, "first host only, a. It has no container on b, c") {
			t.Errorf("%s: said %q", hosts, said)
		}
	}
}
