package release

import (
	"strings"
	"testing"
)

// What could have no effect is refused, and not left out in silence.
func TestWhatWouldHaveNoEffectIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"proxy_server {\n options = { publish = \"8080:80\" }\n}\n":                                                             "publish of the proxy is decided by kamald",
		"proxy_server {\n options = { restart = \"no\" }\n}\n":                                                                  "restart of the proxy is decided by kamald",
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
