# Made from config/deploy.yml by `kamald import`.

service      = "bot"
image        = "acme/bot"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" {
  hosts   = ["10.0.0.1"]
  proxied = false
  cmd     = "bin/bot"
}
