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
