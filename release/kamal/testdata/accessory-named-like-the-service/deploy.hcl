# Made from config/deploy.yml by `kamald import`.

service      = "grafana"
image        = "acme/grafana"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }

accessory "grafana" {
  image   = "grafana/grafana:11"
  hosts   = ["10.0.0.1"]
  service = "grafana"
  # accessories.grafana.options.network: an accessory is in one network, its own `network`, else that of the apps; Kamal puts this one into a second.
}

accessory "proxied" {
  image   = "acme/proxied:1"
  roles   = ["web"]
  proxied = true

  proxy {
    hosts    = ["proxied.example.com"]
    app_port = 8080
  }
}
