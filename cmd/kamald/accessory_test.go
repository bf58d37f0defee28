package main

import (
	"io"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

func TestWhoRemovesASharedAccessoryIsTold(t *testing.T) {
	p := newProgram(io.Discard, io.Discard)
	desired := release.Release{Service: "shop", Hosts: []release.Host{{Name: "h1"}}, Accessories: []release.Accessory{
		{Name: "redis", Service: "shop-redis", Hosts: []string{"h1"}, Shared: true, Volumes: []string{"dump:/data"}}, {Name: "mail", Service: "shop-mail", Hosts: []string{"h1"}}}}
	for given, want := range map[string]string{
		"redis": "This stops and removes shop-redis on h1, AND THEIR DATA WITH THEM: volume dump. There is no way back but a backup of yours. SHARED, so other destinations and apps may use it: shop-redis.",
		"mail":  "This stops and removes shop-mail on h1, with the directories that they have on the hosts.",
		"all":   "SHARED, so other destinations and apps may use it: shop-redis.",
	} {
		if text, err := p.accessoryRemoval(desired, given, true); err != nil || !strings.HasSuffix(text, want) {
			t.Errorf("%s: %q %v", given, text, err)
		}
	}
}
