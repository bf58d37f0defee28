# Made from config/deploy.yml by `kamald import`.

service      = "shop-eu"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

env { clear = { REGION = "eu" } }

role "web" { hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] }
