package release

import "testing"

func TestARestartPolicyIsWrittenAsTheEngineShowsIt(t *testing.T) {
	for text, want := range map[string]string{"on-failure:0": "on-failure", "on-failure": "on-failure", "on-failure:3": "on-failure:3", "always": "always", "no": "no"} {
		r := load(t, in(least+`
role "jobs" {
  hosts   = ["h"]
  options = { restart = "`+text+`" }
}
`, ""))
		if got := r.Roles[1].Restart; got != want {
			t.Errorf("%s becomes %q, want %q", text, got, want)
		}
	}
}
