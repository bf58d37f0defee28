package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
)

const (
	stateVersion = 1
	stateFile    = "lab.json"
)

// record is lab.json, the only place that holds the registry's password.
type record struct {
	Version  int            `json:"version"`
	Network  string         `json:"network"`
	Subnet   string         `json:"subnet"`
	Users    []string       `json:"users"`
	Hosts    []recordedHost `json:"hosts"`
	Registry struct {
		Server   string `json:"server"`
		Push     string `json:"push"`
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"registry"`
}

type recordedHost struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Container string `json:"container"`
}

func loadState(dir string) (*Lab, error) {
	path := filepath.Join(dir, stateFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("lab: no lab in this state directory: %w; run `make lab-up`", err)
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("lab: read %s: %w; run `make lab-down lab-up`", path, err)
	}
	if r.Version != stateVersion {
		return nil, fmt.Errorf("lab: %s has version %d, this program reads %d; run `make lab-down lab-up`", path, r.Version, stateVersion)
	}
	return r.lab(dir), nil
}

// ensureState loads the lab's description, or makes a new one: keys, password, addresses. Containers that are there
// without a description are of no use, since nobody has their keys, and are removed.
func ensureState(ctx context.Context, dir string) (*Lab, error) {
	lab, err := loadState(dir)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return lab, err
	}
	if err := removeObjects(ctx); err != nil {
		return nil, err
	}
	subnet, err := createNetwork(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	lab = newRecord(subnet, port).lab(dir)
	if err := writeKeys(lab); err != nil {
		return nil, err
	}
	return lab, saveState(lab)
}

func newRecord(subnet netip.Prefix, port int) record {
	r := record{Version: stateVersion, Network: networkName, Subnet: subnet.String(), Users: []string{rootUser, deployUser}}
	for n := range hostCount {
		name := fmt.Sprintf("h%d", n+1)
		r.Hosts = append(r.Hosts, recordedHost{Name: name, Address: address(subnet, firstHostAddress+n), Container: "kamald-lab-" + name})
	}
	r.Registry.Server = registryContainer + ":5000"
	r.Registry.Push = fmt.Sprintf("127.0.0.1:%d", port)
	r.Registry.Username = "lab"
	r.Registry.Password = newPassword().Reveal()
	return r
}

func (r record) lab(dir string) *Lab {
	lab := &Lab{
		Dir:        dir,
		KeyFile:    filepath.Join(dir, "id_ed25519"),
		KnownHosts: filepath.Join(dir, "known_hosts"),
		Network:    r.Network,
		Subnet:     r.Subnet,
		Registry: Registry{Server: r.Registry.Server, Push: r.Registry.Push, Username: r.Registry.Username,
			Password: Password{value: r.Registry.Password}},
	}
	for _, h := range r.Hosts {
		lab.Hosts = append(lab.Hosts, Host{Name: h.Name, Address: h.Address, Container: h.Container, keyFile: lab.KeyFile, knownHosts: lab.KnownHosts})
	}
	return lab
}

func saveState(l *Lab) error {
	r := record{Version: stateVersion, Network: l.Network, Subnet: l.Subnet, Users: []string{rootUser, deployUser}}
	for _, h := range l.Hosts {
		r.Hosts = append(r.Hosts, recordedHost{Name: h.Name, Address: h.Address, Container: h.Container})
	}
	r.Registry.Server, r.Registry.Push = l.Registry.Server, l.Registry.Push
	r.Registry.Username, r.Registry.Password = l.Registry.Username, l.Registry.Password.Reveal()
	content, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("lab: write %s: %w", stateFile, err)
	}
	return writeFile(filepath.Join(l.Dir, stateFile), append(content, '\n'), 0o600)
}

// removeState removes the files that describe the lab, and leaves lock files and the built sample app.
func removeState(dir string) error {
	for _, name := range []string{stateFile, "known_hosts", "id_ed25519", "id_ed25519.pub", hostKeyDir} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("lab: remove the lab's state: %w", err)
		}
	}
	return nil
}

// writeFile replaces a file in one step: whoever reads it meanwhile sees the old or the new one.
func writeFile(path string, content []byte, mode os.FileMode) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// freePort is a loopback port that nothing listens on now. The registry keeps it over restarts, which a port chosen by
// the engine would not be.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("lab: find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
