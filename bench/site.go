package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/lab"
	"github.com/kamald/kamald/release"
)

// padMiB makes the layer that is new in each version about as large as that of an application.
const padMiB = 6

// The services that are released. Each replaces its own containers only; they share hosts, network and proxy.
const (
	byKamald  = "shop"
	byHand    = "floor"
	unordered = "loose"
)

// site is the lab, lent to this process alone, with a folder that holds a deploy.hcl for each service.
type site struct {
	lab     *lab.Lab
	dir     string
	bin     string
	release func()
}

func newSite(ctx context.Context, bin string) (*site, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("the program is not built: %w; run `make bench` in the project's folder", err)
	}
	if err := os.Unsetenv("SSH_AUTH_SOCK"); err != nil { // the lab's key is the one that is used
		return nil, err
	}
	s := &site{bin: bin}
	if s.release, err = lab.Acquire(ctx, "bench"); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close gives the lab back and removes the folder.
func (s *site) close() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	s.release()
}

func (s *site) prepare(ctx context.Context) error {
	var err error
	if s.lab, err = lab.Up(ctx); err != nil {
		return err
	}
	var group errgroup.Group
	for i := range s.lab.Hosts {
		group.Go(func() error { return s.lab.Hosts[i].Reset(ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "kamald-bench-"); err != nil {
		return err
	}
	// A copy: a build meanwhile changes nothing.
	program, err := os.ReadFile(s.bin)
	if err != nil {
		return err
	}
	s.bin = filepath.Join(s.dir, "kamald")
	if err := os.WriteFile(s.bin, program, 0o700); err != nil {
		return err
	}
	for _, service := range []string{byKamald, byHand, unordered} {
		if err := s.write(service); err != nil {
			return err
		}
	}
	return nil
}

// first releases every service once, so that each later release replaces one: kamald makes network and proxy as well.
func (s *site) first(ctx context.Context) error {
	for _, service := range []string{byKamald, byHand, unordered} {
		if err := s.build(ctx, service, version(service, 0)); err != nil {
			return err
		}
	}
	if _, err := s.apply(ctx, version(byKamald, 0)); err != nil {
		return err
	}
	for _, service := range []string{byHand, unordered} {
		if _, err := s.raw(ctx, service, version(service, 0)); err != nil {
			return err
		}
	}
	return nil
}

// build pushes an image whose new layer no host has yet.
func (s *site) build(ctx context.Context, service, version string) error {
	_, err := s.lab.BuildApp(ctx, lab.AppImage{Repository: "acme/" + service, Version: version, PadMiB: padMiB,
		Env: map[string]string{"BENCH_SERVICE": service}})
	return err
}

// desired reads a service's release.
func (s *site) desired(service, version string) (release.Release, error) {
	desired, problems := release.Load(s.file(service), release.Options{Version: version})
	if problems.HasErrors() {
		return desired, problems
	}
	return desired, nil
}

// secrets are those beside a service's file.
func (s *site) secrets(service string, desired release.Release) (*secrets.Lookup, error) {
	return secrets.Load(filepath.Join(s.dir, service), desired.SecretFiles, desired.SecretFetches, nil)
}

func (s *site) file(service string) string { return filepath.Join(s.dir, service, "deploy.hcl") }

// auth is what the registry wants to see.
func (s *site) auth() release.Auth {
	r := s.lab.Registry
	return release.Auth{Server: r.Server, Username: r.Username, Password: release.NewSecret(r.Password.Reveal())}
}

// digest asks the registry what a version's manifest is, before any clock runs.
func (s *site) digest(ctx context.Context, service, version string) (string, error) {
	r := s.lab.Registry
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+r.Push+"/v2/acme/"+service+"/manifests/"+version, nil)
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(r.Username, r.Password.Reveal())
	request.Header.Set("Accept", "application/vnd.docker.distribution.manifest.v2+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	digest := response.Header.Get("Docker-Content-Digest")
	if response.StatusCode != http.StatusOK || digest == "" {
		return "", fmt.Errorf("the registry answers %s for %s:%s, and no digest", response.Status, service, version)
	}
	return digest, nil
}

// write puts a service's deploy.hcl and secrets into the folder: two web hosts and one workers host. Workers count as healthy
// when they run, on both sides.
func (s *site) write(service string) error {
	blocks := ""
	for _, h := range s.lab.Hosts {
		blocks += fmt.Sprintf("host %q {\n  address = %q\n}\n", h.Name, h.Address)
	}
	text := fmt.Sprintf(`service = %q
image   = "acme/%s"
deploy_timeout  = "20s"
drain_timeout   = "5s"
readiness_delay = "0s"
stop_timeout    = "5s"
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
ssh {
  user        = "root"
  keys        = [%q]
  known_hosts = [%q]
  config      = false
}
%s
proxy {
  app_port = 3000
  hosts    = ["%s.test"]
}
role "web" {
  hosts = [%q, %q]
}
role "workers" {
  hosts = [%q]
  cmd   = ["app", "worker"]
}
`, service, service, s.lab.Registry.Server, s.lab.Registry.Username, s.lab.KeyFile, s.lab.KnownHosts, blocks, service,
		s.lab.Hosts[0].Name, s.lab.Hosts[1].Name, s.lab.Hosts[2].Name)
	folder := filepath.Join(s.dir, service, ".kamal")
	return errors.Join(os.MkdirAll(folder, 0o700),
		os.WriteFile(s.file(service), []byte(text), 0o600),
		os.WriteFile(filepath.Join(folder, "secrets"), []byte("REGISTRY_PASSWORD="+s.lab.Registry.Password.Reveal()+"\n"), 0o600))
}
