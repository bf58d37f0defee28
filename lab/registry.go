package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const registryContainer = "kamald-lab-registry"

// ensureRegistry makes or starts the registry's container and waits until it takes the password.
func (l *Lab) ensureRegistry(ctx context.Context, image, digest string) error {
	have, err := inspect(ctx, registryContainer)
	if err != nil {
		return err
	}
	if have.exists && (have.recipe != digest || !have.whole) {
		if _, err := docker(ctx, "rm", "-f", "-v", registryContainer); err != nil {
			return err
		}
		have = container{}
	}
	if !have.exists {
		if err := l.createRegistry(ctx, image, digest); err != nil {
			return err
		}
	}
	if err := wake(ctx, registryContainer, have); err != nil {
		return err
	}
	return waitUntil(ctx, "the registry on "+l.Registry.Push, l.Registry.ping)
}

func (l *Lab) createRegistry(ctx context.Context, image, digest string) error {
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil {
		return fmt.Errorf("lab: subnet: %w", err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(l.Registry.Password.Reveal()), bcrypt.MinCost)
	if err != nil {
		return fmt.Errorf("lab: hash the registry's password: %w", err)
	}
	config, err := recipe.ReadFile("recipe/registry.yml")
	if err != nil {
		return fmt.Errorf("lab: read the recipe: %w", err)
	}
	files, err := archive([]file{
		{path: "/etc/lab/registry.yml", mode: 0o644, content: config},
		{path: "/etc/lab/htpasswd", mode: 0o600, content: fmt.Appendf(nil, "%s:%s\n", l.Registry.Username, hash)},
	})
	if err != nil {
		return err
	}
	if _, err := docker(ctx, "volume", "create", "--label", label, registryContainer); err != nil {
		return err
	}
	// An internal network publishes no port, so the registry begins on the default bridge and joins the lab's.
	if _, err := docker(ctx, "create", "--name", registryContainer, "--hostname", registryContainer,
		"--label", label, "--label", dirLabel+"="+l.Dir, "--label", recipeLabel+"="+digest, "--init", "--memory", "512m", "--dns", "127.0.0.1",
		"--publish", l.Registry.Push+":5000", "--volume", registryContainer+":/var/lib/registry",
		image, "docker-registry", "serve", "/etc/lab/registry.yml"); err != nil {
		return err
	}
	if _, err := docker(ctx, "network", "connect", "--ip", address(subnet, registryAddress), l.Network, registryContainer); err != nil {
		return err
	}
	_, err = dockerWith(ctx, bytes.NewReader(files), "cp", "-", registryContainer+":/")
	return err
}

// ping asks for nothing but whether the password is taken.
func (r Registry) ping(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Push+"/v2/", nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(r.Username, r.Password.Reveal())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

// wake starts a container that is not running and ends a pause.
func wake(ctx context.Context, name string, have container) error {
	switch {
	case have.paused:
		_, err := docker(ctx, "unpause", name)
		return err
	case !have.running:
		_, err := docker(ctx, "start", name)
		return err
	default:
		return nil
	}
}

const (
	readyLimit = 90 * time.Second
	readyPoll  = 100 * time.Millisecond
)

// waitUntil asks until ready returns nil, at most readyLimit.
func waitUntil(ctx context.Context, what string, ready func(context.Context) error) error {
	limit, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		attempt, done := context.WithTimeout(limit, 5*time.Second)
		err := ready(attempt)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("lab: %s is not ready: %w (gave up: %w)", what, err, limit.Err())
		case <-tick.C:
		}
	}
}
