# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme-project/containers/shop"
primary_role = "web"

registry {
  server   = "europe-west3-docker.pkg.dev"
  username = "_json_key_base64"
  password = secret("GCP_KEY")
}

build {
  arch = ["amd64"]

  cache {
    type    = "registry"
    image   = "acme-project/containers/shop-cache"
    options = "mode=max,image-manifest=true"
  }
}

role "web" { hosts = ["10.0.0.1"] }
