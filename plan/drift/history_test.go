package drift

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/state"
)

func TestTheHistoryIsOfFindingsAlone(t *testing.T) {
	events := []state.Event{
		{Kind: "drift", Host: "web-1", Role: "web", Step: "exited/web-1/web/shop-web-v1", Outcome: EventHealed, Message: "started again"},
		{Kind: "start", Host: "web-1", Role: "web", Step: "start/web-1/web", Outcome: state.EventDone},
		{Kind: "drift", Host: "web-2", Step: "tag/web-2//latest", Outcome: EventFound},
		{Kind: "drift", Host: "web-1", Role: "web", Step: "exited/web-1/web/shop-web-v1", Outcome: EventFound},
	}
	outcomes := func(filter HistoryFilter) (list []string) {
		for _, p := range History(events, filter) {
			list = append(list, p.Class+" "+p.Outcome)
		}
		return list
	}
	for name, test := range map[string]struct {
		filter HistoryFilter
		want   []string
	}{
		"all":    {HistoryFilter{}, []string{"exited healed", "tag found", "exited found"}},
		"newest": {HistoryFilter{Limit: 2}, []string{"exited healed", "tag found"}},
		"hosts":  {HistoryFilter{Hosts: []string{"*-1"}, Limit: 2}, []string{"exited healed", "exited found"}},
		"roles":  {HistoryFilter{Roles: []string{"jobs"}}, nil},
	} {
		if got := outcomes(test.filter); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if History(nil, HistoryFilter{}) == nil {
		t.Error("nothing is null, and not an empty list")
	}
}
