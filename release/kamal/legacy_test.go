package kamal

import (
	"strings"
	"testing"
)

// Kamal 1's Traefik had a router for each entry point, and both name the host.
func TestAHostThatTwoRoutersNameStandsOnce(t *testing.T) {
	text, _ := imported(t, least+"traefik: {}\nlabels:\n"+
		"  traefik.http.routers.shop.rule: Host(`a.example.com`) && PathPrefix(`/x`)\n"+
		"  traefik.http.routers.shop_secure.rule: Host(`a.example.com`, `b.example.com`) && PathPrefix(`/x`)\n")
	if !strings.Contains(text, `hosts         = ["a.example.com", "b.example.com"]`) || !strings.Contains(text, `path_prefixes = ["/x"]`) {
		t.Errorf("it is\n%s", text)
	}
}

// The port that Kamal 1 asked the primary role at is the one that it serves.
func TestTheHealthCheckOfKamal1sPrimaryRoleIsTheProxys(t *testing.T) {
	text, report := imported(t, strings.Replace(least, "servers: [10.0.0.1]\n", "", 1)+`servers:
  web:
    hosts: [10.0.0.1]
    healthcheck: {path: /health, port: 8000, interval: 5s, max_attempts: 3, cmd: curl localhost}
  jobs:
    hosts: [10.0.0.1]
    healthcheck: {cmd: bin/healthy}
healthcheck: {interval: 10s}
`)
	for _, want := range []string{"app_port = 8000", `path     = "/health"`, `interval = "5s"`, `health { exec = "bin/healthy" }`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "3000") || strings.Contains(strings.Split(text, `role "jobs"`)[1], "proxy") {
		t.Errorf("it is\n%s", text)
	}
	for _, line := range report {
		if strings.Contains(line.What, "3000") {
			t.Errorf("it says %s", line)
		}
	}
	for _, key := range []string{"cmd", "max_attempts"} {
		if !report.has("servers.web.healthcheck."+key, Dropped, "") {
			t.Errorf("nothing is said of %s: %v", key, report)
		}
	}
}

// Without its server the image would go to another registry.
func TestARegistrysServerThatRubyAloneCanTellIsReadFromTheEnvironment(t *testing.T) {
	text, report := imported(t, `service: shop
image: acme/shop
servers: [10.0.0.1]
registry: {server: <%= Deploy.registry %>, username: u, password: [P]}
accessories:
  db:
    image: postgres:17
    host: 10.0.0.1
    registry: {server: <%= Deploy.registry %>, username: u, password: [P]}
`)
	for key, variable := range map[string]string{"registry.server": "KAMAL_REGISTRY_SERVER", "accessories.db.registry.server": "KAMAL_DB_REGISTRY_SERVER"} {
		if !strings.Contains(text, `env("`+variable+`")`) || !report.has(key, Todo, "read from the environment as "+variable) {
			t.Errorf("%s: it is\n%s\n%v", key, text, report)
		}
	}
}
