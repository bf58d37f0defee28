package main

import (
	"fmt"
	"net"
	"os"
)

const deployFile = `service = %q
image   = %q
version = %q

network         = %q
run_directory   = %q
deploy_timeout  = "4s" # how long a container may take to become healthy
readiness_delay = "1s" # how long a worker must run to count as healthy
stop_timeout    = "5s"
labels          = { %q = "1" }

proxy {
  app_port = 3000
}

role "web" {
  hosts = [%q] # this machine's own Docker engine
}

role "workers" {
  hosts = [%q]
  cmd   = ["app", "worker"]
}

proxy_server {
  name       = %q
  image      = %q
  bind       = ["127.0.0.1"]
  http_port  = %d
  https_port = %d
  labels     = { %q = "1" }
}
`

// want writes deploy.hcl with a version.
func (s *story) want(version string) error {
	text := fmt.Sprintf(deployFile, service, image, version, network, s.dir+"/kamal", mark, host, host, proxyName, proxyImage,
		s.port, s.tlsPort, mark)
	if _, err := os.Stat(s.file); err == nil {
		fmt.Fprintf(s.out, "$ edit deploy.hcl      # version = %q\n", version)
	}
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		return err
	}
	s.At(s.port)
	return nil
}

// freePorts finds two ports of 127.0.0.1 that nobody listens on.
func freePorts() (first, second int, err error) {
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 0, 0, err
		}
		defer func(l net.Listener) { _ = l.Close() }(listeners[i])
	}
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	return port(listeners[0]), port(listeners[1]), nil
}
