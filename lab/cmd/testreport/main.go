// Command testreport reads the output of `go test -json` and prints what a person wants to know: a line a package, the
// whole output of what failed, and at the end, loudly, every test that was NOT RUN. It exits 1 when anything failed or
// nothing was tested, and with CI=true also when a test was left out. With KAMALD_FIGURES set it writes the figures that tests
// state into the pages of docs.
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
	whole := r.close()
	if os.Getenv("KAMALD_FIGURES") != "" {
		if err := r.figures.write("docs"); err != nil {
			fmt.Fprintln(os.Stderr, "testreport:", err)
			os.Exit(1)
		}
	}
	if !whole {
		os.Exit(1)
	}
}
