package lab

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTheSSHLogIsReadByLine(t *testing.T) {
	accepted, sessions := parseSSHLog(`Server listening on 0.0.0.0 port 22.
Accepted key ED25519 SHA256:x found at /etc/ssh/lab/authorized_keys:1
Accepted publickey for root from 10.0.0.1 port 40000 ssh2: ED25519 SHA256:x
Starting session: command for root from 10.0.0.1 port 40000 id 0
Starting session: subsystem 'sftp' for root from 10.0.0.1 port 40000 id 1
Accepted publickey for deploy from 10.0.0.1 port 40002 ssh2: ED25519 SHA256:x
`)
	if want := []string{"command for root", "subsystem 'sftp' for root"}; accepted != 2 || !slices.Equal(sessions, want) {
		t.Errorf("%d connections, sessions %q", accepted, sessions)
	}
}

func TestOnlyADistributionThatDebootstrapKnowsIsTaken(t *testing.T) {
	for _, c := range []struct{ name, text, suite, components string }{
		{"debian", "ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm", "main"},
		{"ubuntu", "ID=ubuntu\nVERSION_CODENAME=\"noble\"\n", "noble", "main,universe"},
		{"other", "ID=fedora\nVERSION_CODENAME=\"\"\n", "", ""},
	} {
		path := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		suite, components, err := thisDistribution(path)
		if suite != c.suite || components != c.components || (err == nil) != (c.suite != "") {
			t.Errorf("%s: %q, %q, %v", c.name, suite, components, err)
		}
	}
}

func TestTheSameVariantMakesTheSameImage(t *testing.T) {
	variant := AppImage{Repository: "lab/shop", Version: "v1", Env: map[string]string{"B": "2", "A": "1"}, PadMiB: 1}
	var archives [2][]byte
	for i := range archives {
		packed, err := variant.Archive(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = packed
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of one variant differ")
	}
	variant.Version = "v2"
	other, err := variant.Archive(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(archives[0], other) {
		t.Error("two versions make one archive")
	}
}

func TestAddressesLieInTheSubnet(t *testing.T) {
	subnet := mustSubnet(t)
	for _, n := range []int{registryAddress, firstHostAddress + hostCount - 1} {
		if a := netip.MustParseAddr(address(subnet, n)); !subnet.Contains(a) {
			t.Errorf("%s is not in %s", a, subnet)
		}
	}
}

func mustSubnet(t *testing.T) netip.Prefix {
	t.Helper()
	subnet, err := netip.ParsePrefix(subnets[0])
	if err != nil {
		t.Fatal(err)
	}
	return subnet
}
