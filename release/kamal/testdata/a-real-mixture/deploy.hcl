# Made from config/deploy.yml by `kamald import`.

# Orders, since 2019.
service      = "orders"
image        = env("IMAGE", "acme/orders")
primary_role = "web"

registry {
  server   = env("REGISTRY", "ghcr.io")
  username = env("REGISTRY_USER", "acme")
  password = secret("REGISTRY_PASSWORD")
}

build {
  dockerfile = "./Dockerfile"
  arch       = ["amd64"]
  args       = { RUBY_VERSION = replace(file(".ruby-version"), "\n", ""), SHORT = git.short_sha }
}

env {
  clear = {
    DATABASE_URL = "postgres://${env("DB_USER", "")}@db/${env("DB_NAME", "orders_${env("STAGE", "")}")}"
  }
}

proxy {
  hosts = split(",", env("APP_HOST"))
  # proxy.ssl: Ruby computes it (ENV["SSL"] != "false"), and kamald runs no Ruby.
}

role "web" {
  hosts   = split(",", env("KAMAL_WEB_HOSTS"))
  options = { add-host = "host.docker.internal:host-gateway" }
}

role "worker" {
  hosts = split(",", env("WORKERS"))
  cmd   = "bundle exec sidekiq -C config/sidekiq.yml"
}

accessory "db" {
  image = "postgres:${env("PG", "16")}"
  hosts = [env("DB_HOST", "10.0.0.9")]
}
