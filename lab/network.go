package lab

import (
	"context"
	"fmt"
	"net/netip"
)

const (
	networkName      = "kamald-lab"
	registryAddress  = 10
	firstHostAddress = 11
)

// subnets are tried in turn, because the engine refuses one that overlaps a network of the machine. None is in the
// ranges that an inner engine gives to networks of its own (172.17–31 and 192.168).
var subnets = []string{"10.213.77.0/24", "10.214.78.0/24", "10.129.201.0/24", "10.61.187.0/24"}

// createNetwork makes the network in the first free subnet. It is internal: nothing leaves it for other machines, but
// this machine reaches the containers.
func createNetwork(ctx context.Context) (netip.Prefix, error) {
	var failure error
	for _, candidate := range subnets {
		subnet := netip.MustParsePrefix(candidate)
		if failure = makeNetwork(ctx, networkName, subnet); failure == nil {
			return subnet, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("lab: no subnet is free for the lab's network: %w", failure)
}

func (l *Lab) ensureNetwork(ctx context.Context) error {
	listed, err := docker(ctx, "network", "ls", "-q", "--filter", "label="+label, "--filter", "name=^"+l.Network+"$")
	if err != nil || listed != "" {
		return err
	}
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil {
		return fmt.Errorf("lab: subnet in %s: %w; run `make lab-down lab-up`", stateFile, err)
	}
	return makeNetwork(ctx, l.Network, subnet)
}

func makeNetwork(ctx context.Context, name string, subnet netip.Prefix) error {
	_, err := docker(ctx, "network", "create", "--internal", "--subnet", subnet.String(), "--label", label, name)
	return err
}

// address is the n-th address of a /24.
func address(subnet netip.Prefix, n int) string {
	bytes := subnet.Addr().As4()
	bytes[3] = byte(n)
	return netip.AddrFrom4(bytes).String()
}
