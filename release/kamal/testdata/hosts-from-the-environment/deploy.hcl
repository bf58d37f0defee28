# Made from config/deploy.yml by `kamald import`.
service      = "shop"
image        = "acme/shop"
primary_role = "web"

# deploy_timeout: Ruby computes it, and kamald runs no Ruby.

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy {
  # proxy.host: Ruby computes it, and kamald runs no Ruby.
  # proxy.app_port: Ruby computes it, and kamald runs no Ruby.
}

role "web" { hosts = [env("KAMAL_WEB_HOST_1"), env("KAMAL_WEB_HOST_2")] }
role "jobs" { hosts = split(",", env("KAMAL_JOBS_HOSTS")) }

role "cron" {
  hosts = [env("KAMAL_CRON_HOST_1")]
  # servers.cron.cmd: Ruby computes it, and kamald runs no Ruby.
}

accessory "db" {
  image = env("KAMAL_DB_IMAGE")
  hosts = [env("KAMAL_DB_HOST")]
}
