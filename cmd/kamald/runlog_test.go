package main

import "testing"

func TestALogDirectoryIsRelativeToTheFileOrTheHome(t *testing.T) {
	t.Setenv("HOME", "/home/ops")
	for dir, want := range map[string]string{"log": "shop/log", "/var/log/shop": "/var/log/shop", "~/log": "/home/ops/log", "~log": "shop/~log"} {
		if got := logDirectory("shop/deploy.hcl", dir); got != want {
			t.Errorf("%s is %s, want %s", dir, got, want)
		}
	}
}
