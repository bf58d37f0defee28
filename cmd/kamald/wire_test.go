package main

import (
	"crypto/ed25519"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/kamald/kamald/release"
)

func TestNoMoreDialsThanTheFileSaysAreBegunAtOnce(t *testing.T) {
	c := newConnector(release.Release{SSH: release.SSH{DialLimit: 3}}, nil)
	if slots := reflect.ValueOf(c.limiter).Elem().FieldByName("slots").Cap(); slots != 3 {
		t.Errorf("%d dials at once, want 3", slots)
	}
}

// oneSecret is what every name stands for.
type oneSecret string

func (s oneSecret) Secret(string) (release.Secret, bool, error) {
	return release.NewSecret(string(s)), true, nil
}

func (s oneSecret) Renew(name string) (release.Secret, bool, error) { return s.Secret(name) }

func (oneSecret) Sources() []string { return nil }

func TestAKeyThatIsASecretIsOffered(t *testing.T) {
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	port, key := listenSSHAs(t, signer, &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, errors.New("no key is good")
	}})
	number, _ := strconv.Atoi(port)
	desired := release.SSH{User: "deploy", Port: number, KeySecrets: []string{"KEY"}, KeysOnly: true, DialLimit: 1}
	_, err = newConnector(release.Release{SSH: desired}, oneSecret("canary")).Connect(t.Context(),
		release.Host{Name: "web-1", Address: "127.0.0.1", SSH: desired, HostKey: ssh.FingerprintSHA256(key)})
	if err == nil || !strings.Contains(err.Error(), "ssh.key_data[0] is no private key") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
