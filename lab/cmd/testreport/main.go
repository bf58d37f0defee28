// Command testreport reads the output of `go test -json` and prints what a person wants to know: a line a package, the
// whole output of what failed, and at the end, loudly, every test that was NOT RUN. It exits 1 when anything failed or
// nothing was tested, and with CI=true also when a test was left out.
package main

import (
	"fmt"
	"os"
)

func main() {
	r := newReport(os.Stdout)
	r.whole = os.Getenv("CI") == "true"
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.close() {
		os.Exit(1)
	}
}
