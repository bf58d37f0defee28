package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// contender is a proxy that runs in front of the application, or the application itself.
type contender struct {
	name    string
	address string
	process *process // nil: the application is asked directly
}

// spent is the processor time of the proxy so far; the application's is none of it.
func (c *contender) spent() time.Duration {
	if c.process == nil {
		return 0
	}
	return c.process.spent()
}

func (c *contender) end() {
	if c.process != nil {
		c.process.end()
	}
}

// start starts a contender. Buffered means that bodies are read whole before they are passed on, to memory and then to disk.
func (b *bench) start(ctx context.Context, name string, buffered bool) (*contender, error) {
	if name == "bare" {
		return &contender{name: name, address: b.appAt}, nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := &contender{name: name, address: address}
	dir := filepath.Join(b.dir, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	switch name {
	case "nginx":
		c.process, err = b.startNginx(dir, address, buffered)
	case "caddy":
		c.process, err = b.startCaddy(dir, address)
	default:
		c.process, err = b.startKamald(ctx, dir, address, buffered)
	}
	if err == nil {
		err = c.process.answers(ctx, address)
	}
	if err != nil {
		if c.process != nil {
			c.process.end()
		}
		return nil, err
	}
	return c, nil
}

func (b *bench) startKamald(ctx context.Context, dir, address string, buffered bool) (*process, error) {
	_, port, _ := net.SplitHostPort(address)
	secure, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, securePort, _ := net.SplitHostPort(secure)
	env := []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "TMPDIR=" + dir, "KAMAL_PROXY_BIND=127.0.0.1"}
	p, err := b.begin("kamald-proxy", env, b.settings.binary, "run", "--http-port", port, "--https-port", securePort)
	if err != nil {
		return nil, err
	}
	if err := p.answers(ctx, address); err != nil {
		return p, err
	}
	deploy := exec.CommandContext(ctx, b.settings.binary, "deploy", "app", "--target", b.appAt)
	if buffered {
		deploy.Args = append(deploy.Args, "--buffer-requests", "--buffer-responses")
	}
	deploy.Env = append(os.Environ(), env...)
	if out, err := deploy.CombinedOutput(); err != nil {
		return p, fmt.Errorf("kamald-proxy deploy: %w: %s", err, out)
	}
	return p, nil
}

// nginxConfig has the access log in JSON with about the fields of kamald-proxy's; connections to the application are kept.
const nginxConfig = `daemon off; worker_processes CORES; pid DIR/pid; error_log DIR/error.log; USER
events { worker_connections 4096; }
http {
  log_format json escape=json '{"time":"$time_iso8601","host":"$host","path":"$uri","request_id":"$request_id","status":$status,'
    '"target":"$upstream_addr","duration":$request_time,"method":"$request_method","req_content_length":"$content_length",'
    '"req_content_type":"$content_type","resp_content_length":$body_bytes_sent,"resp_content_type":"$sent_http_content_type",'
    '"client_addr":"$remote_addr","client_port":"$remote_port","user_agent":"$http_user_agent","proto":"$server_protocol",'
    '"scheme":"$scheme","query":"$args"}';
  access_log DIR/access.log json;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  client_max_body_size 0; keepalive_requests 1000000000;
  upstream app { server APP; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen ADDRESS;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-ID $request_id;
      proxy_buffering BUFFERING; proxy_request_buffering BUFFERING;
    }
  }
}
`

func (b *bench) startNginx(dir, address string, buffered bool) (*process, error) {
	user, buffering := "", "off"
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	if buffered {
		buffering = "on"
	}
	file, err := b.configure(dir, "nginx.conf", nginxConfig, address, "USER", user, "BUFFERING", buffering)
	if err != nil {
		return nil, err
	}
	return b.begin("nginx", nil, "nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
}

const caddyConfig = `{
  admin off
  auto_https off
}
http://ADDRESS {
  log {
    output file DIR/access.log {
      roll_disabled
    }
    format json
  }
  reverse_proxy APP {
    transport http {
      keepalive 60s
      keepalive_idle_conns_per_host 256
      compression off
    }
  }
}
`

func (b *bench) startCaddy(dir, address string) (*process, error) {
	file, err := b.configure(dir, "Caddyfile", caddyConfig, address)
	if err != nil {
		return nil, err
	}
	return b.begin("caddy", []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, "caddy", "run", "--config", file, "--adapter", "caddyfile")
}

// configure writes a configuration with the places of this run.
func (b *bench) configure(dir, name, text, address string, more ...string) (string, error) {
	words := append([]string{"DIR", dir, "ADDRESS", address, "APP", b.appAt, "CORES", fmt.Sprint(b.settings.cores)}, more...)
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(strings.NewReplacer(words...).Replace(text)), 0o644)
}
