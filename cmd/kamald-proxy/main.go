// Command kamald-proxy is the zero-downtime HTTP proxy that runs on the servers. It speaks kamal-proxy's commands.
package main

import (
	"os"

	"github.com/kamald/kamald/proxy"
)

func main() {
	os.Exit(proxy.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
