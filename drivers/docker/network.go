package docker

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// Networks lists the networks of the host.
func (e *Engine) Networks(ctx context.Context) ([]state.Network, error) {
	r, err := e.client.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, e.failure(err, "list networks")
	}
	var all []state.Network
	for _, item := range r.Items {
		all = append(all, state.Network{ID: item.ID, Name: item.Name})
	}
	return all, nil
}

// uniqueNames is the API version from which engines refuse a second network of the same name; before it, they make one.
const uniqueNames = "1.44"

// CreateNetwork makes a bridge network; one that is there is left as it is. Of several that runs make at once one stays.
func (e *Engine) CreateNetwork(ctx context.Context, name string) error {
	api, err := e.api(ctx)
	if err != nil {
		return e.failure(err, "create network %s", name)
	}
	twins := older(api, uniqueNames)
	if twins {
		same, err := e.networksNamed(ctx, name)
		if err != nil || len(same) == 1 {
			return e.failure(err, "create network %s", name)
		}
		if len(same) > 1 {
			return e.failure(e.settle(ctx, name), "create network %s", name)
		}
	}
	_, err = e.client.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: network.NetworkBridge, Labels: map[string]string{labelNetwork: "1"}})
	if errdefs.IsConflict(err) {
		return nil
	}
	if err == nil && twins {
		err = e.settle(ctx, name)
	}
	return e.failure(err, "create network %s", name)
}

// ConnectNetwork attaches a container to a network; one that is attached is left as it is.
func (e *Engine) ConnectNetwork(ctx context.Context, name, container string, aliases []string) error {
	err := e.unambiguous(ctx, func() error {
		// Engines take a network that is not there for a container that does not run, and fail when it is started.
		if _, err := e.client.NetworkInspect(ctx, name, client.NetworkInspectOptions{}); err != nil {
			return err
		}
		_, err := e.client.NetworkConnect(ctx, name, client.NetworkConnectOptions{
			Container:      container,
			EndpointConfig: &network.EndpointSettings{Aliases: aliases},
		})
		if err != nil && strings.Contains(err.Error(), "already exists in network") {
			return nil
		}
		return err
	})
	return e.failure(err, "connect container %s to network %s", container, name)
}

func (e *Engine) networksNamed(ctx context.Context, name string) ([]network.Summary, error) {
	r, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	return slices.DeleteFunc(r.Items, func(n network.Summary) bool { return n.Name != name }), err
}
