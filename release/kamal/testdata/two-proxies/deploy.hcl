# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" {
  hosts   = ["10.0.0.1"]
  proxied = true
}

role "api" {
  hosts = ["10.0.0.2"]

  proxy { hosts = ["api.example.com"] }
}

role "raw" {
  hosts   = ["10.0.0.3"]
  proxied = true
}

role "false" {
  hosts   = ["10.0.0.4"]
  proxied = false
}

role "true" {
  hosts   = ["10.0.0.5"]
  proxied = true
}

proxy_server {
  image     = "basecamp/kamal-proxy:v0.9.2" # Kamal's; kamald's own is kamald/proxy
  http_port = 8080
  publish   = true
}
