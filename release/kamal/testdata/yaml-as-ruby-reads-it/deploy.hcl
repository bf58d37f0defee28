# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build {
  arch = ["amd64"]
  args = { NODE_VERSION = "1.1", QUOTED = "1.10" }
}

env {
  clear = {
    FEATURE = "false"
    ANSWER  = "true"
    TIME    = "45045"
    OCTAL   = "420"
    BIG     = "1000"
    NORWAY  = "false"
    TEXT    = "no"
    DATE    = "2024-01-02"
  }
}

role "web" { hosts = ["10.0.0.1"] }
