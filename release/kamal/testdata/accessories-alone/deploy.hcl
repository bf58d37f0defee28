# Made from config/deploy.yml by `kamald import`.

service = "infra"
image   = "acme/infra"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

accessory "db" {
  image = "postgres:16"
  hosts = ["10.0.0.1"]
  port  = "5432:5432"
}

accessory "cache" {
  image = "redis:7"
  hosts = ["10.0.0.1", "10.0.0.2"]
}
