# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

host "10.0.0.1" { tags = ["eu", "canary"] }

tag "eu" {
  env { clear = { REGION = "eu" } }
}

tag "canary" {
  env { clear = { CANARY = "1" } }
}

role "web" { hosts = ["10.0.0.1", "10.0.0.2"] }
