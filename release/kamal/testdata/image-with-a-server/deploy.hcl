# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  server   = "ghcr.io"
  username = "acme"
  password = secret("GHCR_TOKEN")
}

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }
