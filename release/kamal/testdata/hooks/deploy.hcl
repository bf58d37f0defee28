# Made from config/deploy.yml by `kamald import`.

service          = "shop"
image            = "acme/shop"
primary_role     = "web"
error_pages_path = "public"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

secrets {
  files = ["config/secrets-common", destination == "" ? "config/secrets" : "config/secrets.${destination}"]
}

role "web" { hosts = ["10.0.0.1"] }

hooks_path   = ".kamal/hooks"
hooks_output = { pre-build = "quiet", pre-deploy = "show" }
