# Made from config/deploy.yml by `kamald import`.
service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("KAMAL_REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

secrets {
  files = [
    ".kamal/secrets-common",
    destination == "" ? ".kamal/secrets" : ".kamal/secrets.${destination}",
    ".kamald/secrets",
  ]
}

env {
  # env.clear.COMMIT: Ruby computes it, and kamald runs no Ruby.
  # env.clear.SHORT: Ruby computes it, and kamald runs no Ruby.
  # env.clear.CUT: Ruby computes it, and kamald runs no Ruby.
  # env.clear.BRANCH: Ruby computes it, and kamald runs no Ruby.
  # env.clear.DATE: Ruby computes it, and kamald runs no Ruby.
  # env.clear.HOSTNAME_OF_BUILDER: Ruby computes it, and kamald runs no Ruby.
  # env.clear.BANNER: Ruby computes it, and kamald runs no Ruby.
  # env.clear.STAGE: Ruby computes it, and kamald runs no Ruby.
  # env.clear.PATHS: Ruby computes it, and kamald runs no Ruby.
}

role "web" { hosts = [env("KAMAL_WEB_HOST_1"), "10.0.0.2"] }
