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
  hosts = ["shop.example.com", "www.shop.example.com"]
  # proxy.ssl is left out: The proxy takes the TLS settings of all paths of a name from whoever has its root path: set ssl there, and leave it out of role "web".
  # proxy.certificate is left out: A certificate has no effect without ssl = true.
  # proxy.private_key is left out: private_key needs certificate with it.
  path_prefixes = ["/shop", "/cart"]
}

role "web" { hosts = ["10.0.0.1", "10.0.0.2"] }
