# Made from config/deploy.yml by `kamald import`.
service      = env("KAMAL_SERVICE")
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

env {
  # env.clear.REGION: Ruby computes it, and kamald runs no Ruby.
}

role "web" { hosts = [env("KAMAL_WEB_HOST_1")] }
