package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// decideRoute compares what the proxy does for the role with what it should.
func (s *slot) decideRoute(desired release.Release) {
	if s.role.Proxy == nil || s.kept {
		return
	}
	want := state.Route{Name: s.routed, Options: desired.RouteOptions(s.role)}
	have, there := s.host.Proxy.Route(want.Name)
	if there {
		s.oldRoute = &have
		want.Stopped, want.Paused = have.Stopped, have.Paused
	}
	s.keepShut(&want, there)
	if s.wanted == nil {
		s.route = &want
		return
	}
	target := fmt.Sprintf("%s:%d", s.wanted.ShortID(), s.role.Proxy.AppPort)
	fields := routeFields(have, want, target)
	switch {
	case !there:
		s.routeItem(Create, s.lostRoute(), "the proxy does not know it", nil)
	case len(fields) > 0 && s.boots() && fields[0].Path == "target" && len(fields) == 1:
		// it follows from the container's own item
	case len(fields) > 0:
		s.routeItem(Update, s.movedRoute(fields), "the proxy has it otherwise", fields)
	case s.certificate.push, s.lostPages(desired): // an item of its own says so
	case s.certificate.tell:
		s.routeItem(Update, Leftover, "the proxy has not read its certificate since that was written", nil)
	default:
		return
	}
	s.route, s.prove = &want, true
}

// lostRoute: a container that was released and has no route lost it by hand; one that was not was interrupted before.
func (s *slot) lostRoute() Cause {
	if s.reconfigured {
		return Change
	}
	if s.released {
		return Drift
	}
	return Leftover
}

func (s *slot) movedRoute(fields []Field) Cause {
	if s.reconfigured {
		return Change
	}
	if fields[0].Path == "target" && !s.released {
		return Leftover
	}
	return Drift
}

// routeFields is what differs between a route as it is and as it should be.
func routeFields(have, want state.Route, target string) []Field {
	var d differ
	if !slices.Equal(have.Targets, []string{target}) {
		d.list("target", have.Targets, []string{target})
	}
	d.list("readers", have.Readers, want.Readers)
	if reflect.DeepEqual(have.Options, want.Options) {
		return d.fields
	}
	a, b := reflect.ValueOf(have.Options), reflect.ValueOf(want.Options)
	for i := range a.NumField() {
		before, after := fmt.Sprint(a.Field(i)), fmt.Sprint(b.Field(i))
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		d.text(name, before, after)
	}
	return d.fields
}

func (s *slot) routeItem(action Action, cause Cause, reason string, fields []Field) {
	s.items = append(s.items, Item{Action: action, Cause: cause, Resource: ResourceRoute, Host: s.host.Name, Role: s.role.Name,
		Name: s.routed, Reason: reason, Class: DriftRoute, Fields: fields, Risk: Safe})
}
