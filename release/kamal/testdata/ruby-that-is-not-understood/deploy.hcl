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
  # env.clear.DATE: it is a command's output (date +%F), and only secrets are computed by commands; git.sha, git.short_sha and git.branch are known.
  # env.clear.HOSTNAME_OF_BUILDER: Ruby computes it (Socket.gethostname), and kamald runs no Ruby.
  clear = {
    COMMIT = git.sha
    SHORT  = git.short_sha
    CUT    = git.short_sha
    BRANCH = git.branch
    BANNER = replace(file("banner.txt"), "\n", "")
    STAGE  = upper(env("STAGE", ""))
    PATHS  = "/a:${env("EXTRA", "")}:/b"
  }
}

role "web" { hosts = [env("KAMAL_WEB_HOST_1"), "10.0.0.2"] }
