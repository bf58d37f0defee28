// Command kamald-proxy is the zero-downtime HTTP proxy that runs on the servers. It speaks kamal-proxy's commands.
package main

import (
	"os"
	"runtime"

	"github.com/kamald/kamald/proxy"
)

// The supervisor's children are tied to the thread that makes them, and only the first thread outlives the exec by which
// a supervisor becomes another program.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(proxy.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
