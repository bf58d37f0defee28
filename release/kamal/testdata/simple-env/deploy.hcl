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
  clear = {
    LOG_LEVEL = "info" # quiet
    # the queue
    QUEUE = "default"
    A     = "1"
    B     = "2"
    C     = "3"
  }
}

role "web" { hosts = ["10.0.0.1"] }
