# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "shop"
primary_role = "web"

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }
