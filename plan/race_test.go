//go:build race

package plan_test

import "flag"

// With the race detector the laws take many times as long, and what it looks for needs no more than a few worlds: make long takes all,
// without it. The flag on the command line comes after this.
func init() {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
}
