package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Layer is a layer of an image.
type Layer struct {
	ID     string // sha256:…, of what is in it uncompressed: its diff ID
	Size   int64  // bytes, uncompressed; 0 when not known
	Packed int64  // bytes, as it travels; 0 when it does not
}

// CarriedPrefix is how the tags begin under which a host keeps the lowest layers of an image of the app that is still on its
// way. Each app has its own: what another's run is carrying is not taken away.
func (a App) CarriedPrefix() string { return "kamald-carried-" + brief(a.String()) + "-" }

// CarriedTag is the tag of such layers.
func (a App) CarriedTag(layers []string) string {
	return a.CarriedPrefix() + brief(strings.Join(layers, " "))
}

// brief is enough of a text's digest to tell a few apart.
func brief(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
