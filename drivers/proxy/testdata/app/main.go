// Command app is a target for the proxy: it answers every path with its own host name.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	name, _ := os.Hostname()
	err := http.ListenAndServe(":3000", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
