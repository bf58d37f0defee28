# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

ssh {
  user = "app"
  jump = "ops@jump.example.com"
  # ssh.proxy_command is left out: jump and proxy_command are two ways to the same host: keep one; in a host's block, "" takes the ssh block's away.
  config = ["config/ssh", "~/.ssh/config"]
}

role "web" { hosts = ["host.example.com"] }
