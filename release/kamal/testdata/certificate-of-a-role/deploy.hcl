# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

secrets {
  files = [
    ".kamal/secrets-common",
    destination == "" ? ".kamal/secrets" : ".kamal/secrets.${destination}",
    ".kamald/secrets",
  ]
}

role "web" { hosts = ["10.0.0.1"] }

role "api" {
  hosts = ["10.0.0.2"]

  proxy {
    hosts       = ["api.shop.example.com"]
    ssl         = true
    certificate = secret("CERTIFICATE_PEM")
    private_key = secret("API_KEY_PEM")
  }
}
