package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// waitReady returns when the host's engine answers over SSH.
func (h *Host) waitReady(ctx context.Context) error {
	return waitUntil(ctx, "host "+h.Name+" at "+h.Address, h.ping)
}

// ping asks the engine over one SSH connection with a forwarded socket, the way kamald does.
func (h *Host) ping(ctx context.Context) error {
	client, err := h.Dial(ctx, rootUser)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return client.DialContext(ctx, "unix", "/var/run/docker.sock")
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("its engine answers %s", response.Status)
	}
	return nil
}

// Dial opens an SSH connection to the host as root or deploy, with the lab's key and a strict check of the host's key.
// It is a plain client for tests of the lab itself; it counts in SSHLog as every other does.
func (h *Host) Dial(ctx context.Context, user string) (*ssh.Client, error) {
	pem, err := os.ReadFile(h.keyFile)
	if err != nil {
		return nil, fmt.Errorf("lab: client key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("lab: client key %s: %w", h.keyFile, err)
	}
	check, err := knownhosts.New(h.knownHosts)
	if err != nil {
		return nil, fmt.Errorf("lab: known hosts: %w", err)
	}
	config := &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}}
	target := net.JoinHostPort(h.Address, "22")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fmt.Errorf("lab: connect to host %s: %w", h.Name, err)
	}
	// The handshake knows no context: closing the connection under it is what ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	sshConn, channels, requests, err := ssh.NewClientConn(conn, target, config)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("lab: SSH to host %s as %s: %w", h.Name, user, err)
	}
	return ssh.NewClient(sshConn, channels, requests), nil
}
