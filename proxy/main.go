package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// Version is printed by the version command. The build may set it.
var Version = "dev"

const usage = `kamald-proxy: a zero-downtime HTTP proxy that speaks kamal-proxy's commands

Usage: kamal-proxy COMMAND [flags]

Commands:
  run                 Run the server
  deploy SERVICE      Switch a service to new targets, without losing a request
  remove SERVICE      Remove a service (also: rm)
  list                List the services (also: ls)
  pause SERVICE       Hold a service's requests
  stop SERVICE        Answer a service's requests with 503
  resume SERVICE      End a pause or stop
  upgrade             Put a new program in the place of this one, without losing a request
  rollout COMMAND     Give a share of a service's requests to other targets: deploy, set, stop
  inspect SERVICE     Print all that is known of a service, as JSON
  health              Exit 0 if the running proxy serves: a container's health check
  version             Print the version

Each command has --help. Every command has --socket PATH (env KAMAL_PROXY_SOCKET).
`

// invocation is one call of the program.
type invocation struct {
	ctx    context.Context
	stdout io.Writer
	stderr io.Writer
	env    environment
	alone  bool // this process is all there is: run it as a supervisor with a worker
}

// Main runs one command and returns the exit code: 0, or 1 for every error, which is told on stderr. SIGTERM and
// SIGINT end a running server in good order, and withdraw a command that waits. env has the form of os.Environ.
func Main(args []string, _ io.Reader, stdout, stderr io.Writer, env []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return invocation{ctx, stdout, stderr, newEnvironment(env), true}.main(args)
}

// mainContext runs a command in this process alone: a server without a supervisor.
func mainContext(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer, env []string) int {
	return invocation{ctx, stdout, stderr, newEnvironment(env), false}.main(args)
}

func (in invocation) main(args []string) int {
	err := in.dispatch(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(in.stderr, "Error: "+err.Error())
	return 1
}

func (in invocation) dispatch(args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	name, rest := args[0], args[1:]
	switch name {
	case "run":
		return in.run(rest)
	case "deploy":
		return in.deploy(rest)
	case "remove", "rm":
		return in.remove(rest)
	case "list", "ls":
		return in.list(rest)
	case "pause":
		return in.pause(rest)
	case "stop":
		return in.stop(rest)
	case "resume":
		return in.resume(rest)
	case "health":
		return in.health(rest)
	case "version", "--version":
		return in.version(rest)
	case "upgrade":
		return in.upgrade(rest)
	case "rollout":
		return in.rollout(rest)
	case "inspect":
		return in.inspect(rest)
	case "help", "--help", "-h":
		fmt.Fprint(in.stdout, usage)
		return nil
	}
	return fmt.Errorf("unknown command %q for kamal-proxy; run 'kamal-proxy --help' for usage", name)
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok && Version == "dev" && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return Version
}
