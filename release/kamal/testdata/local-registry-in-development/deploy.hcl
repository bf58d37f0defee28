# Made from config/deploy.yml and config/deploy.local.yml by `kamald import`.

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

destination "local" {
  registry { remove = true }

  role "web" { hosts = ["10.9.0.1"] }
}
