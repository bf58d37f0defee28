package state

import (
	"strings"
	"testing"
)

func TestAnEventOfAnEngineIsToldInWords(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	container := EngineEvent{Kind: EngineContainer, Container: id, Name: "shop-web-v2"}
	of := func(action string, change func(*EngineEvent)) EngineEvent {
		e := container
		e.Action = action
		if change != nil {
			change(&e)
		}
		return e
	}
	for want, e := range map[string]EngineEvent{
		"container shop-web-v2 was created":                       of(ActionCreate, nil),
		"container shop-web-v2 died, exit code 137":               of(ActionDie, func(e *EngineEvent) { e.ExitCode = 137 }),
		"container shop-web-v2 died, exit code 0":                 of(ActionDie, nil),
		"container shop-web-v2 ran out of memory":                 of(ActionOOM, nil),
		"container shop-web-v2 is unhealthy":                      of(ActionHealth, func(e *EngineEvent) { e.Health = "unhealthy" }),
		"container shop-web-v1 was renamed to shop-web-v2":        of(ActionRename, func(e *EngineEvent) { e.Was = "shop-web-v1" }),
		`container shop-web-v2 had the event "teleport"`:          of("teleport", nil),
		"container 0123456789ab was removed":                      of(ActionDestroy, func(e *EngineEvent) { e.Name = "" }),
		"container shop-web-v2 was connected to network kamal":    of(ActionNetworkConnect, func(e *EngineEvent) { e.Kind, e.Ref = EngineNetwork, "kamal" }),
		"container shop-web-v2 was disconnected from network net": of(ActionNetworkDisconnect, func(e *EngineEvent) { e.Kind, e.Ref = EngineNetwork, "net" }),
		"image reference acme/shop:latest was set":                {Kind: EngineImage, Action: ActionTag, Ref: "acme/shop:latest"},
		"image 0123456789ab was untagged":                         {Kind: EngineImage, Action: ActionUntag, Ref: "sha256:" + id},
		"image acme/shop:v2 was pulled":                           {Kind: EngineImage, Action: ActionPull, Ref: "acme/shop:v2"},
	} {
		if got := e.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
