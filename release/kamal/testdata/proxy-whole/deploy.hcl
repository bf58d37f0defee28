# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

proxy {
  hosts    = ["shop.example.com", "www.shop.example.com"]
  app_port = 3000
  # proxy.ssl is left out: The proxy takes the TLS settings of all paths of a name from whoever has its root path: set ssl there, and leave it out of role "web".
  ssl_redirect      = false
  path_prefixes     = ["/api", "/oauth"]
  strip_path_prefix = false
  forward_headers   = true
  response_timeout  = "90s"

  healthcheck {
    path     = "/up"
    interval = "3s"
    timeout  = "2s"
  }

  buffering {
    requests          = true
    responses         = false
    memory            = "2000000"
    max_request_body  = "40000000"
    max_response_body = "0"
  }

  logging {
    request_headers  = ["Cache-Control", "X-Request-Id"]
    response_headers = ["X-Request-Id"]
  }
}

role "web" { hosts = ["10.0.0.1"] }

proxy_server {
  image        = "registry.example.com/mirror/kamal-proxy:v0.9.3"
  http_port    = 8080
  https_port   = 8443
  metrics_port = 9090
  bind         = ["10.0.0.1", "::1"]
  log_max_size = "50m"
  debug        = true
  options      = { memory = "256m" }
}
