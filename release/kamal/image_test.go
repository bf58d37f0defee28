package kamal

import (
	"strings"
	"testing"
)

// Kamal joins the two whatever they are.
func TestAServerThatStandsInTheImageTooIsToldOf(t *testing.T) {
	for name, c := range map[string]struct{ source, why string }{
		"the same one":      {"registry: {server: ghcr.io, username: u, password: [P]}\n", "at ghcr.io/ghcr.io/acme/shop"},
		"another":           {"registry: {server: docker.io, username: u, password: [P]}\n", "registry.server is another"},
		"one that is alone": {"registry: {username: u, password: [P]}\n", "stands in registry { server }"},
	} {
		t.Run(name, func(t *testing.T) {
			text, report := imported(t, "service: shop\nimage: ghcr.io/acme/shop\nservers: [10.0.0.1]\n"+c.source)
			if !strings.Contains(text, `= "acme/shop"`) || !report.has("image", Changed, c.why) {
				t.Errorf("it is\n%s\n%v", text, report)
			}
		})
	}
}
