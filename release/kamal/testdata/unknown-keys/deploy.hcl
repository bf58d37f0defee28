# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"
labels       = { tier = "web" }

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy {
  healthcheck { path = "/up" }
}

role "web" {
  hosts = ["10.0.0.1"]

  proxy { hosts = ["shop.example.com"] }
}

accessory "cache" {
  image = "redis:7"
  hosts = ["10.0.0.1"]
}

proxy_server {
  image     = "basecamp/kamal-proxy:v0.9.2" # Kamal's; kamald's own is kamald/proxy
  http_port = 80
}
