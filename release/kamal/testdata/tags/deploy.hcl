# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

host "10.0.0.1" { tags = ["eu", "slow"] }
host "10.0.0.2" { tags = ["eu", "canary"] }
host "10.0.0.4" { tags = ["us"] }

tag "eu" {
  env { clear = { REGION = "eu-west" } }
}

tag "us" {
  env {
    clear  = { REGION = "us-east" }
    secret = ["US_KEY"]
  }
}

tag "canary" {
  env { clear = { CANARY = "true" } }
}

env {
  clear  = { REGION = "none" }
  secret = ["API_KEY"]
}

role "web" { hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] }
role "jobs" { hosts = ["10.0.0.1", "10.0.0.4"] }
