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
  version             Print the version

Each command has --help. Every command has --socket PATH (env KAMAL_PROXY_SOCKET).
`

// invocation is one call of the program.
type invocation struct {
	ctx    context.Context
	stdout io.Writer
	stderr io.Writer
	env    environment
}

// Main runs one command and returns the exit code: 0, or 1 for every error, which is told on stderr. SIGTERM and
// SIGINT end a running server in good order, and withdraw a command that waits. env has the form of os.Environ.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return mainContext(ctx, args, stdin, stdout, stderr, env)
}

func mainContext(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer, env []string) int {
	in := invocation{ctx, stdout, stderr, newEnvironment(env)}
	err := in.dispatch(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "Error: "+err.Error())
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
	case "version", "--version":
		fmt.Fprintln(in.stdout, buildVersion())
		return nil
	case "rollout":
		return notBuilt("rollout")
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
