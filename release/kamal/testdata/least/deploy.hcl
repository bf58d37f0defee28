# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("KAMAL_REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }
