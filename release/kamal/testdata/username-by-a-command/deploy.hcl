# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  server   = "registry.example.com"
  username = secret("KAMAL_REGISTRY_USERNAME")
  password = secret("KAMAL_REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

secrets {
  files = [
    ".kamal/secrets-common",
    destination == "" ? ".kamal/secrets" : ".kamal/secrets.${destination}",
    ".kamald/secrets",
  ]
}

role "web" { hosts = ["10.0.0.1"] }
