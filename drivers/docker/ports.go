package docker

import (
	"context"

	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// Ports lists the ports of the host that running containers publish, of every service.
func (e *Engine) Ports(ctx context.Context) ([]state.Port, error) {
	result, err := e.client.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, e.failure(err, "list published ports")
	}
	var held []state.Port
	for _, item := range result.Items {
		for _, port := range item.Ports {
			if port.PublicPort == 0 {
				continue // exposed, and not published
			}
			held = append(held, state.Port{Address: port.IP, Number: int(port.PublicPort), Protocol: string(port.Type), Container: item.ID, Name: ownName(item.Names)})
		}
	}
	return held, nil
}
