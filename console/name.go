package console

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kamald/kamald/state"
)

// appName is how an app is written where one word must name it: service, or service@destination. Neither may have an @ in it, so
// that two apps never have one name; with the form that files on servers have, shop-eu could be either of two.
var appName = regexp.MustCompile(`\A([A-Za-z0-9][A-Za-z0-9_-]*)(?:@([A-Za-z0-9][A-Za-z0-9_.-]*))?\z`)

// NameOf gives the app's name in paths and metrics: service[@destination].
func NameOf(app state.App) string {
	if app.Destination == "" {
		return app.Service
	}
	return app.Service + "@" + app.Destination
}

// AppOf reads such a name.
func AppOf(name string) (state.App, error) {
	if parts := appName.FindStringSubmatch(name); parts != nil {
		return state.App{Service: parts[1], Destination: parts[2]}, nil
	}
	return state.App{}, fmt.Errorf("%q names no app: an app is written service, or service@destination", strings.ToValidUTF8(name, "�"))
}
