package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
)

// instance is a builder of buildx's own, which is made when it is not there. The name says all that it is made of, so that the same
// settings find it again, and others make another.
type instance struct {
	name   string
	driver string
	cloud  string // "ORGANISATION/BUILDER" of Docker's build cloud
	nodes  []node
	host   bool // its containers share the machine's network: a registry on loopback is reached from there
}

// node is a place where an instance builds.
type node struct {
	endpoint  string // "" is where the docker command goes by itself
	platforms []string
}

// String is how people are told.
func (n node) String() string {
	where := n.endpoint
	if where == "" {
		where = "this machine's engine"
	}
	if len(n.platforms) > 0 {
		where += " for " + strings.Join(n.platforms, ", ")
	}
	return where
}

// remote tells whether anything is built elsewhere.
func (i instance) remote() bool {
	return slices.ContainsFunc(i.nodes, func(n node) bool { return n.endpoint != "" })
}

func instanceOf(r release.Release, t toolchain, here, there []string) instance {
	b := r.Build
	i := instance{driver: b.Driver}
	if i.driver == "" {
		i.driver = release.DriverContainer
	}
	if cloud, ok := strings.CutPrefix(b.Driver, release.DriverCloud); ok {
		i.driver, i.cloud, i.name = "cloud", cloud, "cloud-"+strings.ReplaceAll(cloud, "/", "-")
		return i
	}
	local := node{}
	remote := node{endpoint: b.Remote}
	away := b.RemoteOnly || len(there) > 0 || i.driver == release.DriverRemote
	switch {
	case away && len(here) > 0 && i.driver != release.DriverRemote:
		local.platforms, remote.platforms = platforms(here), platforms(there)
		i.name, i.nodes = fmt.Sprintf("kamald-hybrid-%s-%s-%s", i.driver, inName(b.Remote), inName(strings.Join(there, "-"))), []node{local, remote}
	case away:
		i.name, i.nodes = fmt.Sprintf("kamald-remote-%s-%s", i.driver, inName(b.Remote)), []node{remote}
	default:
		i.name, i.nodes = "kamald-local-"+i.driver, []node{local}
		if at := os.Getenv("DOCKER_HOST"); at != "" {
			i.name += "-" + inName(at)
		} else if t.context != "default" {
			i.name += "-" + inName(t.context)
		}
	}
	if i.driver == release.DriverContainer && r.Registry != nil && onLoopback(r.Registry.Server) {
		i.host = true
		i.name += "-host"
	}
	return i
}

var notInName = regexp.MustCompile(`[^a-z0-9_-]`)

// inName makes a part of a builder's name of an address, as Kamal does.
func inName(text string) string { return notInName.ReplaceAllString(strings.ToLower(text), "-") }

func onLoopback(server string) bool {
	host, _, _ := strings.Cut(server, ":")
	return host == "localhost" || strings.HasPrefix(host, "127.") || strings.HasPrefix(server, "[::1]")
}

func platforms(arches []string) []string {
	var all []string
	for _, arch := range arches {
		all = append(all, "linux/"+arch)
	}
	return all
}

// create are the commands that make the builder, in their order.
func (i instance) create() [][]string {
	if i.cloud != "" {
		return [][]string{{"docker", "buildx", "create", "--driver", "cloud", i.cloud}}
	}
	var commands [][]string
	for n, at := range i.nodes {
		argv := []string{"docker", "buildx", "create", "--name", i.name, "--driver", i.driver}
		if n > 0 {
			argv = append(argv, "--append")
		}
		if i.host {
			argv = append(argv, "--driver-opt", "network=host")
		}
		if len(at.platforms) > 0 {
			argv = append(argv, "--platform", strings.Join(at.platforms, ","))
		}
		if at.endpoint != "" {
			argv = append(argv, at.endpoint)
		}
		commands = append(commands, argv)
	}
	return commands
}

var endpointLine = regexp.MustCompile(`(?m)^Endpoint:\s+(\S+)`)

// whole tells whether what `docker buildx inspect` says is all of the builder: its making may have been cut short.
func (i instance) whole(inspected string) bool {
	found := endpointLine.FindAllStringSubmatch(inspected, -1)
	if len(i.nodes) > 0 && len(found) != len(i.nodes) {
		return false
	}
	for _, n := range i.nodes {
		if n.endpoint != "" && !slices.ContainsFunc(found, func(m []string) bool { return m[1] == n.endpoint }) {
			return false
		}
	}
	return true
}

// ensure makes the builder when it is not there, or not whole.
func (i instance) ensure(ctx context.Context, out io.Writer) error {
	if _, whole, err := i.inspect(ctx); err != nil || whole {
		return err
	}
	lock, err := lockBuilder(ctx, i.name, func() { fmt.Fprintf(out, "another build makes the builder %s: waiting for it\n", i.name) })
	if err != nil {
		return err
	}
	defer lock.Close()
	there, whole, err := i.inspect(ctx) // another may have made it meanwhile
	if err != nil || whole {
		return err
	}
	fmt.Fprintf(out, "making the builder %s\n", i.name)
	if there {
		_ = i.remove(ctx) // what cannot be removed cannot be made either, and that says why
	}
	for n, argv := range i.create() {
		if said := question(ctx, "", argv...); said.err != nil {
			if n > 0 {
				_ = i.remove(context.WithoutCancel(ctx)) // half of a builder is none
			}
			return fmt.Errorf("the builder %s cannot be made: %w", i.name, said.err)
		}
	}
	return nil
}

// inspect asks buildx whether there is such a builder, and whether it is whole.
func (i instance) inspect(ctx context.Context) (there, whole bool, err error) {
	said := question(ctx, "", "docker", "buildx", "inspect", i.name)
	switch {
	case said.err == nil:
		return true, i.whole(said.out), nil
	case absent(said.err):
		return false, false, nil
	}
	return false, false, said.err
}

func (i instance) remove(ctx context.Context) error {
	return question(ctx, "", "docker", "buildx", "rm", i.name).err
}

// absent tells by buildx's words that there is no such builder.
func absent(err error) bool {
	return slices.ContainsFunc([]string{"no builder", "context not found", "no compatible builder", "does not exist", "not found"},
		func(words string) bool { return strings.Contains(err.Error(), words) })
}
