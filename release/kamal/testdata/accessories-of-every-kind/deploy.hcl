# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

host "10.0.0.1" { tags = ["front"] }

role "web" { hosts = ["10.0.0.1"] }
role "jobs" { hosts = ["10.0.0.2"] }

accessory "db" {
  image   = "mysql:8.0"
  roles   = ["web", "jobs"]
  service = "shop-mysql"
  cmd     = "--max-connections 200"
  port    = "3306:3306"
  network = "db"
  options = { memory = "4g", restart = "always" }
  labels  = { tier = "data" }
  volumes = ["sockets:/run/mysqld"]
  # accessories.db.files[2]: it is an ERB template; kamald's templates end in .tmpl: write it as config/template.cnf.tmpl and name that in a file block.

  env { clear = { MYSQL_DATABASE = "shop" } }

  file "config/my.cnf" {
    to      = "/etc/mysql/my.cnf"
    options = "ro"
  }

  file "config/my-secret.cnf" {
    to   = "/etc/mysql/conf.d/secret.cnf"
    mode = "0640"
    # accessory "db".file "config/my-secret.cnf".owner is left out: owner is a user and a group by number, such as "999:999", not "mysql:mysql": the host has no names for the users of an image.
    options = "ro"
  }

  directory "data" {
    to      = "/var/lib/mysql"
    options = "z"
  }

  directory "backups" {
    to = "/backups"
    # accessory "db".directory "backups".mode is left out: mode is permissions in octal, such as "0640", not "488".
    owner = "999:999"
  }
}

accessory "cache" {
  image = "redis:7"
  tags  = ["front"]
}

accessory "agent" {
  image = "agent:1"
  tags  = ["front"]
  # accessory "agent".tags["back"] is left out: accessory "agent" selects hosts with the tag "back", and no host bears it.
}

accessory "twice" {
  image = "twice:1"
  hosts = ["10.0.0.1"]
}

# accessory "nowhere" is left out: accessory "nowhere" takes exactly one of hosts, roles and tags; none of them is here.
