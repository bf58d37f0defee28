# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

env {
  # env.clear.SHELL: the host's shell expands ${HOSTNAME:-none} here, and kamald uses none; host_env("NAME") reads one of its variables.
  clear = {
    ROOT_CLEAR = "root"
    BOTH       = "clear"
    HOST_NAME  = host_env("HOSTNAME")
    DOLLAR     = "$HOME"
    PERCENT    = "%%{x} and %w"
    QUOTES     = "say \"hi\" \\ there"
    LINES      = "one\ntwo"
    COUNT      = "5"
    RATIO      = "0.5"
    FLAG       = "true"
  }
  # env.clear.BAD NAME is left out: "BAD NAME" cannot name an environment variable: letters, digits and _.
  secret = ["API_KEY", "DB:DB_TWO"]
}

role "web" { hosts = ["10.0.0.1"] }

role "jobs" {
  hosts = ["10.0.0.2"]

  env { secret = ["API_KEY"] }
}
