package release

import (
	"slices"
	"testing"
	"time"
)

func TestSettingsGoByTheNamesOfThings(t *testing.T) {
	got := Settings(Release{Service: "shop", DeployTimeout: 5 * time.Second, Roles: []Role{{Name: "web", Hosts: []string{"a", "b"},
		Env: Env{Clear: map[string]string{"LEVEL": "info", "EMPTY": ""}, Secrets: map[string]string{"TOKEN": "API_TOKEN"}}}}})
	want := []Setting{{"deploy_timeout", "5s"}, {"roles.web.env.clear.EMPTY", `""`}, {"roles.web.env.clear.LEVEL", "info"},
		{"roles.web.env.secrets.TOKEN", "API_TOKEN"}, {"roles.web.hosts", `["a","b"]`}, {"roles.web.name", "web"}, {"service", "shop"}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
