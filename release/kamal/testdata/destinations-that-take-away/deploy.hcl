# Made from config/deploy.yml, config/deploy.bare.yml and config/deploy.eu.yml by `kamald import`.

service             = "shop"
image               = "acme/shop"
primary_role        = "web"
require_destination = true
labels              = { team = "a", tier = "b" }

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

host "10.0.0.1" { tags = ["eu"] }
host "10.0.0.2" { tags = ["us"] }

tag "eu" {
  env { clear = { REGION = "eu" } }
}

tag "us" {
  env { clear = { REGION = "us" } }
}

env {
  clear  = { A = "1", B = "2", C = "3" }
  secret = ["S"]
}

proxy { hosts = ["shop.example.com"] }

role "web" {
  hosts   = ["10.0.0.1", "10.0.0.2"]
  options = { memory = "1g", cpus = 2 }

  proxy { app_port = 4000 }
}

role "jobs" {
  hosts = ["10.0.0.2"]
  cmd   = "bin/jobs"

  proxy { hosts = ["jobs.example.com"] }
}

logging {
  driver  = "local"
  options = { max-size = "10m" }
}

rollout { limit = 1 }

accessory "probe" {
  image  = "probe:1"
  tags   = ["eu"]
  shared = true
}

accessory "db" {
  image  = "db:1"
  hosts  = ["10.0.0.1"]
  shared = true
}

proxy_server {
  image     = "basecamp/kamal-proxy:v0.9.2" # Kamal's; kamald's own is kamald/proxy
  http_port = 8080
}

destination "bare" {
  labels = null

  proxy { hosts = ["bare.example.com"] }

  role "web" {
    hosts   = ["10.0.0.9"]
    options = null
  }

  role "jobs" {
    hosts = ["10.0.0.9"]
    cmd   = null

    proxy { remove = true }
  }

  logging { remove = true }

  rollout { remove = true }

  accessory "probe" { remove = true }
  accessory "db" { remove = true }

  proxy_server { remove = true }
}

destination "eu" {
  allow_empty_roles = true

  host "10.0.0.1" { tags = ["eu"] }
  host "10.0.0.3" { tags = ["eu"] }

  role "web" {
    hosts   = ["10.0.0.1", "10.0.0.3"]
    options = { memory = "2g" }
  }

  role "jobs" {
    hosts   = []
    proxied = false

    proxy { remove = true }
  }
}
