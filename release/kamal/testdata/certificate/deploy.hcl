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
  hosts         = ["shop.example.com", "www.shop.example.com"]
  ssl           = true
  certificate   = secret("CERTIFICATE")
  private_key   = secret("CERTIFICATE_KEY")
  path_prefixes = ["/shop", "/cart"]
}

role "web" { hosts = ["10.0.0.1", "10.0.0.2"] }
