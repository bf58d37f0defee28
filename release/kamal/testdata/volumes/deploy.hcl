# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"
# volumes[4]: the host's shell expands a part of it, and kamald uses none; write the path, or one beginning with ~/.
# volumes[6]: it is a volume without a name; kamald's have a source: "name:/anonymous".
volumes = [
  "~/storage:/rails/storage",
  "./log:/rails/log",
  "./tmp:/rails/tmp",
  "~/cache:/rails/cache:ro",
  "named:/named",
  "/srv/a:/a:rshared,z",
]
# volumes["relative/path:/rails/relative"] is left out: The source "relative/path" is neither a path (/…, ~/… or ./…) nor a volume's name.

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }
