# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy { app_port = 3000 }

role "web" { hosts = ["10.0.0.1"] }

role "api" {
  hosts   = ["10.0.0.2"]
  proxied = true

  proxy { hosts = ["api.example.com", "api2.example.com"] }
}

role "worker" {
  hosts   = ["10.0.0.3"]
  proxied = false
}

proxy_server { http_port = 8080 }
