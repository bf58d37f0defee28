# Made from config/deploy.yml, config/deploy.production.yml and config/deploy.staging.yml by `kamald import`.

service             = "shop"
image               = "acme/shop"
require_destination = true

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

env {
  clear  = { RAILS_ENV = "production" }
  secret = ["RAILS_MASTER_KEY"]
}

proxy { ssl = true }

destination "production" {
  primary_role = "web"

  proxy { hosts = ["shop.example.com"] }

  # The real one.
  role "web" { hosts = ["10.0.0.1"] }

  role "jobs" {
    hosts = ["10.0.0.2"] # small
    cmd   = "bin/jobs"
  }
}

destination "staging" {
  primary_role = "web"

  env {
    clear  = { RAILS_ENV = "staging" }
    secret = ["RAILS_MASTER_KEY", "STAGING_KEY"]
  }

  proxy { hosts = ["staging.shop.example.com"] }

  role "web" { hosts = ["10.0.1.1"] }
}
