# Made from config/deploy.yml by `kamald import`.

service      = env("KAMAL_SERVICE")
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" { hosts = split(",", env("KAMAL_WEB_HOSTS")) }

accessory "db" {
  image = "postgres:16"
  hosts = split(",", env("KAMAL_DB_HOSTS"))
}
