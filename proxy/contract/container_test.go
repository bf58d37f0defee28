package contract

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// container is a proxy that runs in an image of the local Docker engine, with its ports published on loopback.
type container struct {
	name    string
	image   string
	dir     string
	gateway string
	env     []string
	made    bool
	ports   map[port]string
}

var insidePorts = map[port]int{httpPort: 80, httpsPort: 443, metricsPort: 9393}

func newContainer(t *testing.T, s subject, dir string) *container {
	t.Helper()
	gateway, err := bridgeAddress()
	if err != nil {
		t.Fatal(err)
	}
	h := &container{name: "kamald-contract-" + filepath.Base(dir), image: s.image, dir: dir, gateway: gateway}
	h.env = []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "TMPDIR=" + dir}
	t.Cleanup(func() { _, _ = dockerOut("rm", "-f", "-v", h.name) })
	return h
}

// start makes the container anew: flags and variables are those of its making.
func (h *container) start(flags, env []string) error {
	if h.made {
		if _, err := dockerOut("rm", "-f", h.name); err != nil {
			return err
		}
	}
	args := []string{"run", "-d", "--name", h.name, "--label", "kamald.test=contract", "--volume", h.dir + ":" + h.dir}
	for name := range insidePorts {
		args = append(args, "--publish", fmt.Sprintf("127.0.0.1::%d", insidePorts[name]))
	}
	for _, one := range slices.Concat(h.env, env) {
		args = append(args, "--env", one)
	}
	if _, err := dockerOut(append(append(args, h.image, "kamal-proxy", "run"), flags...)...); err != nil {
		return err
	}
	h.made, h.ports = true, map[port]string{}
	for name, number := range insidePorts {
		address, err := dockerOut("port", h.name, strconv.Itoa(number)+"/tcp")
		if err != nil {
			return err
		}
		h.ports[name], _, _ = strings.Cut(address, "\n")
	}
	return nil
}

func (h *container) stop(kill bool) (int, error) {
	if !h.made {
		return 0, nil
	}
	args := []string{"stop", "--time", "15", h.name}
	if kill {
		args = []string{"kill", h.name}
	}
	_, err := dockerOut(args...)
	if err != nil && strings.Contains(err.Error(), "is not running") {
		err = nil
	}
	text, inspectErr := dockerOut("inspect", "--format", "{{.State.ExitCode}}", h.name)
	if inspectErr != nil {
		return 0, inspectErr
	}
	code, _ := strconv.Atoi(text)
	return code, err
}

func (h *container) command(ctx context.Context, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, "docker", append([]string{"exec", h.name, "kamal-proxy"}, args...)...)
}

// kill finds the command's process in the container; the docker program that waits for it is none of its business.
func (h *container) kill(_ *exec.Cmd, args []string) error {
	table, err := dockerOut("top", h.name, "-eo", "pid,args")
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) > len(args) && slices.Equal(fields[len(fields)-len(args):], args) {
			pid, err := strconv.Atoi(fields[0])
			if err != nil {
				return err
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("no process of %s has the arguments %v:\n%s", h.name, args, table)
}

func (h *container) address(name port) string { return h.ports[name] }
func (h *container) inside(name port) int     { return insidePorts[name] }
func (h *container) appIP() string            { return h.gateway }

func (h *container) log() string {
	out, _ := exec.Command("docker", "logs", h.name).CombinedOutput()
	return string(out)
}

// bridgeAddress is this machine's own address on the engine's default network, where containers reach the apps.
func bridgeAddress() (string, error) {
	name, err := dockerOut("network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`)
	if err != nil {
		return "", err
	}
	bridge, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("the engine's bridge %q: %w", name, err)
	}
	addresses, err := bridge.Addrs()
	if err != nil {
		return "", err
	}
	for _, one := range addresses {
		if ip, ok := one.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("the engine's bridge %s has no IPv4 address: %v", name, addresses)
}

func dockerOut(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
