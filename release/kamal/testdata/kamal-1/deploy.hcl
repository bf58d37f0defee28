# Made from config/deploy.yml by `kamald import`.

service       = "shop"
image         = "acme/shop"
primary_role  = "web"
drain_timeout = "20s"

registry {
  username = "acme"
  password = secret("KAMAL_REGISTRY_PASSWORD")
}

build { args = { RUBY_VERSION = "3.2.2" } }

env {
  clear  = { DB_HOST = "10.0.0.3" }
  secret = ["RAILS_MASTER_KEY"]
}

proxy {
  hosts         = ["shop.example.com"]
  path_prefixes = ["/store"]
  app_port      = 4000

  healthcheck {
    path     = "/up"
    interval = "20s"
  }
}

role "web" {
  hosts  = ["10.0.0.1"]
  labels = { team = "checkout" }
}

role "job" {
  hosts = ["10.0.0.2"]
  cmd   = "bundle exec sidekiq"

  health {
    exec     = "bin/check-jobs"
    interval = "5s"
  }
}
