package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// List asks the running proxy for its routes, sorted by name. kamald-proxy says their health too; kamal-proxy has no JSON, and
// its table says of each what it takes, where that goes, and whether it runs.
func (d *Driver) List(ctx context.Context, container string) ([]state.LiveRoute, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*margin)
	defer cancel()
	result, err := d.engine.Exec(ctx, container, []string{command, "list", "--json"})
	parse := parseJSONList
	if err == nil && result.Code != 0 && strings.Contains(result.Stderr+result.Stdout, "unknown flag") {
		result, err = d.engine.Exec(ctx, container, []string{command, "list"})
		parse = parseTable
	}
	if err != nil {
		return nil, fmt.Errorf("list the routes of proxy %s: %w", container, err)
	}
	if result.Code != 0 {
		return nil, fmt.Errorf("proxy %s did not list its routes: %s", container, clean(result))
	}
	routes, err := parse(result.Stdout)
	if err != nil {
		return nil, fmt.Errorf("what proxy %s lists cannot be read: %w", container, err)
	}
	slices.SortFunc(routes, func(a, b state.LiveRoute) int { return strings.Compare(a.Name, b.Name) })
	return routes, nil
}

// parseJSONList reads what kamald-proxy writes. Fields that this driver does not know are a newer proxy's.
func parseJSONList(text string) ([]state.LiveRoute, error) {
	type listed struct {
		Service string         `json:"service"`
		State   string         `json:"state"`
		Error   string         `json:"error"`
		Targets []listedTarget `json:"targets"`
	}
	var list []listed
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("it is no JSON array of services: %w", err)
	}
	routes := make([]state.LiveRoute, 0, len(list))
	for _, s := range list {
		route := state.LiveRoute{Name: s.Service, State: s.State, Error: s.Error, Targets: []state.LiveTarget{}}
		for _, t := range s.Targets {
			route.Targets = append(route.Targets, t.live())
		}
		routes = append(routes, route)
	}
	return routes, nil
}

// listedTarget is a target as kamald-proxy writes it.
type listedTarget struct {
	Target  string    `json:"target"`
	Healthy *bool     `json:"healthy"`
	Cause   string    `json:"cause"`
	Since   time.Time `json:"since"`
}

func (t listedTarget) live() state.LiveTarget {
	target := state.LiveTarget{Target: t.Target, Since: t.Since}
	switch {
	case t.Healthy != nil && *t.Healthy:
		target.Health = "healthy"
	case t.Healthy != nil:
		target.Health, target.Cause = "unhealthy", t.Cause
	}
	return target
}

var (
	colour  = regexp.MustCompile("\x1b\\[[0-9;]*m")
	columns = regexp.MustCompile(`\s{2,}`)
)

// parseTable reads kamal-proxy's table: Service, Host, Path, Target, State, TLS, always with colours.
func parseTable(text string) ([]state.LiveRoute, error) {
	routes := []state.LiveRoute{}
	var header []string
	for line := range strings.Lines(colour.ReplaceAllString(text, "")) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		cells := columns.Split(line, -1)
		if header == nil {
			header = cells
			if slices.Index(header, "Service") != 0 || !slices.Contains(header, "Target") || !slices.Contains(header, "State") {
				return nil, fmt.Errorf("its table begins with %q", line)
			}
			continue
		}
		if len(cells) != len(header) {
			return nil, fmt.Errorf("a line of its table has %d columns and not %d: %q", len(cells), len(header), line)
		}
		route := state.LiveRoute{Name: cells[0], State: cells[slices.Index(header, "State")], Targets: []state.LiveTarget{}}
		for target := range strings.SplitSeq(cells[slices.Index(header, "Target")], ",") {
			route.Targets = append(route.Targets, state.LiveTarget{Target: strings.TrimSpace(target)})
		}
		routes = append(routes, route)
	}
	if header == nil && strings.TrimSpace(text) != "" {
		return nil, errors.New("it has no table")
	}
	return routes, nil
}
