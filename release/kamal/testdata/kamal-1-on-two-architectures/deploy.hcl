# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  server   = "registry.example.com"
  username = "acme"
  password = secret("KAMAL_REGISTRY_PASSWORD")
}

build {
  arch   = ["arm64", "amd64"]
  remote = "ssh://root@10.0.0.9"
}

secrets {
  files = [
    ".kamal/secrets-common",
    destination == "" ? ".kamal/secrets" : ".kamal/secrets.${destination}",
    ".kamald/secrets",
  ]
}

tag "canary" {
  env { clear = { CANARY = "1" } }
}

proxy { app_port = 3000 }

role "web" { hosts = ["10.0.0.1", "10.0.0.2"] }
