package proxy

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOnlyTheOwnerCanOpenTheControlSocket(t *testing.T) {
	f := startProxy(t)
	info, err := os.Stat(f.config.SocketPath)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode.Perm() != 0o600 || mode.Type() != os.ModeSocket {
		t.Errorf("the socket's mode is %v", mode)
	}
}

func TestASocketLeftByADeadProxyIsReplacedAndALivingOneIsNot(t *testing.T) {
	f := startProxy(t)
	second := NewServer(f.config)
	err := second.Start()
	if err == nil || !strings.Contains(err.Error(), "another proxy answers") {
		t.Fatalf("a second proxy said %v", err)
	}
	if err := f.Shutdown(); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.config.SocketPath, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	third := startProxyWith(t, f.config)
	if err := newClient(third.config.SocketPath).do(t.Context(), "GET", "/v1/services", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestAStoppingProxyGivesUpADeployThatWaitsAndSaysSo(t *testing.T) {
	f := startProxy(t)
	waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
	failed := make(chan error, 1)
	go func() {
		failed <- newClient(f.config.SocketPath).do(t.Context(), http.MethodPost, "/v1/deploy", deployRequest("app", waiting), nil)
	}()
	eventually(t, "the deploy probes", func() bool { return probes.Load() > 0 })
	if err := f.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the deploy", failed); err == nil || !strings.Contains(err.Error(), "the proxy is stopping") {
		t.Errorf("the deploy said %v", err)
	}
}

func TestTheProxyItselfRefusesAnIntervalOfZero(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("v1")))
	req.TargetOptions.HealthCheckConfig.Interval = 0
	err := newClient(f.config.SocketPath).do(t.Context(), "POST", "/v1/deploy", req, nil)
	if err == nil || !strings.Contains(err.Error(), "health-check-interval must be more than 0") {
		t.Errorf("the proxy said %v", err)
	}
}
