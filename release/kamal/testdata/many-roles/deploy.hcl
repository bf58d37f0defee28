# Made from config/deploy.yml by `kamald import`.

service           = "orders"
image             = "acme/orders"
primary_role      = "api"
allow_empty_roles = true
retain_containers = 3
deploy_timeout    = "60s"
readiness_delay   = "10s"
drain_timeout     = "20s"
stop_timeout      = "25s"

registry {
  username = secret("HUB_USER")
  password = secret("HUB_PASSWORD")
}

build {
  arch   = ["amd64", "arm64"]
  remote = "ssh://builder@10.0.0.9"
}

proxy { hosts = ["orders.example.com", "www.orders.example.com"] }

role "worker" {
  hosts   = ["10.0.0.5", "10.0.0.6"]
  cmd     = "bin/worker --queues \"mail,default\""
  options = { memory = "2g", cpus = 2, cap-add = ["SYS_NICE"], init = true }
  labels  = { queue = "mail" }

  env {
    clear  = { THREADS = "10" }
    secret = ["WORKER_KEY"]
  }

  stop { grace = "90s" }
}

role "api" {
  hosts      = ["10.0.0.1", "10.0.0.2"]
  asset_path = "/app/public"

  logging {
    driver  = "json-file"
    options = { max-size = "50m", max-file = "3" }
  }
}

role "admin" {
  hosts = ["10.0.0.1"]
  cmd   = "bin/admin"

  proxy {
    hosts    = ["admin.orders.example.com"]
    app_port = 4000
  }
}

role "cron" { hosts = [] }

rollout {
  limit          = "25%"
  wait           = "5s"
  parallel_roles = true
}
