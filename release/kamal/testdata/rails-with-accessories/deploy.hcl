# Made from config/deploy.yml and config/deploy.staging.yml by `kamald import`.

# The bookshop, on three machines.
service      = "bookshop"
image        = "acme/bookshop"
primary_role = "web"
asset_path   = "/rails/public/assets"
volumes      = ["bookshop_storage:/rails/storage"]

registry {
  server   = "ghcr.io"
  username = "acme"
  password = secret("GHCR_TOKEN")
}

build {
  arch    = ["amd64"]
  args    = { RUBY_VERSION = "3.4" }
  secrets = ["BUNDLE_TOKEN"]
}

env {
  clear = {
    RAILS_LOG_LEVEL = "info"
    WEB_CONCURRENCY = "2"
    # two databases on one server
    DB_HOST = "10.0.0.4"
  }
  secret = ["RAILS_MASTER_KEY", "DATABASE_PASSWORD:POSTGRES_PASSWORD"]
}

proxy {
  hosts    = ["books.example.com"]
  app_port = 3000
  ssl      = false

  healthcheck {
    path     = "/healthy"
    interval = "2s"
    timeout  = "3s"
  }
}

role "web" {
  hosts = [
    "10.0.0.1",
    "10.0.0.2", # the new one
  ]
}

role "job" {
  hosts = ["10.0.0.3"]
  cmd   = "bin/jobs"
}

accessory "db" {
  image = "postgres:16"
  hosts = ["10.0.0.4"]
  port  = "127.0.0.1:5432:5432"

  env {
    clear  = { POSTGRES_USER = "bookshop" }
    secret = ["POSTGRES_PASSWORD"]
  }

  file "config/postgres/init.sql" { to = "/docker-entrypoint-initdb.d/setup.sql" }

  directory "data" { to = "/var/lib/postgresql/data" }
}

accessory "redis" {
  image = "redis:7"
  hosts = ["10.0.0.4"]
  cmd   = "redis-server --appendonly yes"
  port  = "6379:6379"

  directory "redis" { to = "/data" }
}

alias "console" { command = "app exec --interactive --reuse bin/rails console" }
alias "logs" { command = "app logs -f" }
alias "shell" { command = "app exec -i --reuse bash" }

destination "staging" {
  env { clear = { RAILS_LOG_LEVEL = "debug", DB_HOST = "10.0.1.1" } }

  proxy { hosts = ["staging.books.example.com"] }

  role "web" { hosts = ["10.0.1.1"] }
  role "job" { hosts = ["10.0.1.1"] }

  accessory "db" { hosts = ["10.0.1.1"] }
  accessory "redis" { hosts = ["10.0.1.1"] }
}
