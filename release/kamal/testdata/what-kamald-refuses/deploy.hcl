# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"
volumes      = ["fine:/fine"]
# volumes["data:relative"] is left out: "data:relative" is not source:target[:mode] with an absolute target, such as "/srv/data:/data:ro".

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy {
  hosts = ["shop.example.com"]
  # proxy.app_port is left out: app_port is from 1 to 65535, not 99999.
  path_prefixes = ["/ok"]
  # proxy.path_prefixes["api"] is left out: A path prefix begins with "/": "/api", not "api".
}

role "web" {
  hosts = ["10.0.0.1"]
  # role "web".cmd is left out: cmd cannot be split into words: a shell would expand a part of it, and there is none; write ["sh", "-c", "…"] for one. A list is run as it is.
}

role "jobs" {
  hosts = ["10.0.0.2"]
  # role "jobs".cmd is left out: cmd cannot be split into words: it is more than one simple command (1:10: `&&` is not a valid word). A list is run as it is.
  # role "jobs".options.restart is left out: restart is "no", "always", "unless-stopped" or "on-failure[:N]", not "sometimes".
  # role "jobs".options.memory is left out: memory is a size such as "512m" or "2g", not "lots".
}

role "api" {
  hosts = ["10.0.0.3"]
  # role "api".hosts["bad host"] is left out: "bad host" is not a host's name or address; a user or a port go into host "…" { }.
  asset_path = "/app/public"
}
