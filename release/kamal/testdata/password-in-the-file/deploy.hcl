# Made from config/deploy.yml and config/deploy.staging.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  # password: (left out)
  password = secret("KAMAL_REGISTRY_PASSWORD") # changed in May
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

accessory "search" {
  image  = "search/engine:1"
  hosts  = ["10.0.0.1"]
  shared = true

  registry {
    server   = "registry.example.com"
    username = "reader"
    password = secret("SEARCH_REGISTRY_PASSWORD")
  }
}

destination "staging" {
  registry { password = secret("KAMAL_REGISTRY_PASSWORD_STAGING") }
}
