package plan

import (
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ProxyDiffers gives what making a host's proxy anew by the release would change of the one that is there, whether the file asks
// for that or not. The host's proxy must be seen with how it was made.
func ProxyDiffers(desired release.Release, host state.Host) []Field {
	desired.ProxyServer.Declared = true
	return proxyFields(desired, host)
}

// FieldsText says differences in one line.
func FieldsText(fields []Field) string {
	var parts []string
	for _, f := range fields {
		before, after := f.values()
		parts = append(parts, fmt.Sprintf("%s: %s → %s", Printable(f.Path), before, after))
	}
	return strings.Join(parts, ", ")
}
