package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// Projection is the digest of what the planner decides on about a host: identity, specs, run state, tags, routes, networks,
// digests of secrets, the lock's holder; not clocks, counters or free space. Two observations with equal projections give
// equal plans.
func Projection(host state.Host) string {
	host.Engine.Clock = time.Time{}
	host.FreeBytes = 0
	host.Record = nil
	host.Fence = 0
	if host.Lock != nil {
		lock := *host.Lock
		lock.Renewed, lock.Lease = time.Time{}, 0
		host.Lock = &lock
	}
	containers := make([]state.Container, len(host.Containers))
	for i, c := range host.Containers {
		c.RestartCount, c.Started, c.Finished, c.IPs = 0, time.Time{}, time.Time{}, presence(c.IPs)
		containers[i] = c
	}
	// The engine's order says nothing.
	slices.SortFunc(containers, func(a, b state.Container) int { return cmp.Compare(a.ID, b.ID) })
	host.Containers = containers
	host.Images = slices.SortedFunc(slices.Values(host.Images), func(a, b state.Image) int { return cmp.Compare(a.ID, b.ID) })
	for i, image := range host.Images {
		host.Images[i].Tags, host.Images[i].Digests = slices.Sorted(slices.Values(image.Tags)), slices.Sorted(slices.Values(image.Digests))
	}
	host.Networks = slices.SortedFunc(slices.Values(host.Networks), func(a, b state.Network) int { return cmp.Compare(a.ID, b.ID) })
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(&host); err != nil { // straight into the hash: no copy of the text is made
		panic(fmt.Sprintf("plan: a host always encodes: %v", err))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// presence keeps which networks are attached, and not the addresses there: those change with every start.
func presence(ips map[string]string) map[string]string {
	if ips == nil {
		return nil
	}
	attached := map[string]string{}
	for name := range ips {
		attached[name] = ""
	}
	return attached
}
