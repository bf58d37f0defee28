package kamal

import (
	"strings"
	"testing"
)

// Kamal 2 has labels for whatever reads them: a Traefik that runs as an accessory, too.
func TestLabelsForTraefikStayWhereKamalDoesNotReadThem(t *testing.T) {
	text, report := imported(t, strings.Replace(least, "servers: [10.0.0.1]\n", "", 1)+`servers:
  web:
    hosts: [10.0.0.1]
    proxy: false
    labels:
      traefik.enable: "true"
      traefik.http.routers.shop.rule: Host(`+"`shop.example.com`"+`)
accessories:
  traefik:
    image: traefik:v3
    host: 10.0.0.1
    labels:
      traefik.enable: "false"
`)
	for _, want := range []string{`"traefik.enable" = "true"`, "\"traefik.http.routers.shop.rule\" = \"Host(`shop.example.com`)\"", `"traefik.enable" = "false"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	for _, line := range report {
		if line.Severity != Translated {
			t.Errorf("it says %s", line)
		}
	}
}

// Kamal 1 ran a Traefik, and an accessory was reached by labels for it.
func TestAnAccessoryBehindKamal1sTraefikIsForAPersonToRoute(t *testing.T) {
	text, report := imported(t, least+`traefik: {}
accessories:
  nginx:
    image: nginx
    host: 10.0.0.1
    labels:
      traefik.enable: "true"
      traefik.http.routers.nginx.rule: Host(`+"`www.example.com`"+`)
      team: web
`)
	for _, key := range []string{"traefik.enable", "traefik.http.routers.nginx.rule"} {
		if !report.has("accessories.nginx.labels."+key, Todo, "proxied = true") {
			t.Errorf("nothing is said of %s: %v", key, report)
		}
	}
	if !strings.Contains(text, `labels = { team = "web" }`) {
		t.Errorf("it is\n%s", text)
	}
}
