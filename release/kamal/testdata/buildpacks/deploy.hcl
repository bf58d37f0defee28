# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build {
  arch       = ["arm64"]
  provenance = "false"

  pack {
    builder    = "heroku/builder:24"
    buildpacks = ["heroku/ruby", "heroku/procfile"]
  }
}

role "web" { hosts = ["10.0.0.1"] }
