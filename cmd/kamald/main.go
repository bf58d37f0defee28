// Command kamald is a declarative controller for container deployments on plain servers.
package main

import "os"

func main() {
	p := newProgram(os.Stdout, os.Stderr)
	os.Exit(p.run(os.Args[1:]))
}
