package main

import (
	"io"
	"strings"
	"testing"
)

func TestAVariantIsARepositoryAVersionAndSettings(t *testing.T) {
	variant, err := parseVariant("acme/shop:v3,APP_SICK=true,NOTE=a=b")
	if err != nil {
		t.Fatal(err)
	}
	if variant.Reference("") != "acme/shop:v3" || variant.Env["APP_SICK"] != "true" || variant.Env["NOTE"] != "a=b" {
		t.Errorf("read %+v", variant)
	}
	for _, wrong := range []string{"shop", "shop:", ":v1", "shop:v1,APP_SICK"} {
		if _, err := parseVariant(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestAWrongCommandLineIsRefusedWithTheUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"sideways"}, {"up", "now"}, {"down", "--everything"}, {"push"}} {
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), "usage:") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
