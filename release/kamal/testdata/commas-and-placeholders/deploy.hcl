# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

host "10.0.0.5" { user = "deploy" }
host "10.0.0.6" { port = 2222 }

host "10.0.0.7" {
  user = "root"
  port = 2200
}

proxy { hosts = ["a.example.com", "b.example.com"] }

role "web" { hosts = ["192.168.0.1", "192.168.0.2", "YOUR_SERVER_IP"] }
role "jobs" { hosts = ["server.example.com"] }
role "old" { hosts = ["10.0.0.5", "10.0.0.6", "10.0.0.7", "[2001:db8::1]"] }
role "api" { hosts = ["10.0.0.8"] }

accessory "db" {
  image = "mysql:8"
  hosts = ["10.0.0.1", "10.0.0.2"]
}
