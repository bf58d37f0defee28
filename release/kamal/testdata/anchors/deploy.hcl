# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

env { clear = { LOG_LEVEL = "info", TZ = "UTC" } }

role "web" { hosts = ["10.0.0.1", "10.0.0.2"] }

role "jobs" {
  hosts = ["10.0.0.1", "10.0.0.2"]
  cmd   = "bin/jobs"

  env { clear = { LOG_LEVEL = "debug", TZ = "UTC" } }
}
