# Made from config/deploy.yml by `kamald import`.

service        = "shop"
image          = "acme/shop"
primary_role   = "web"
deploy_timeout = "${env("DEPLOY_TIMEOUT", "45")}s"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy {
  hosts    = split(",", env("APP_HOST", "shop.example.com"))
  app_port = env("PORT", "3000")
}

role "web" { hosts = [env("WEB_1"), env("WEB_2", "10.0.0.2")] }
role "jobs" { hosts = split(",", env("JOB_HOSTS")) }

role "cron" {
  hosts = [env("CRON_HOST")]
  cmd   = "bin/cron --host=${env("CRON_HOST", "")}"
}

accessory "db" {
  image = "postgres:${env("PG_VERSION", "16")}"
  hosts = [env("DB_HOST")]
}
