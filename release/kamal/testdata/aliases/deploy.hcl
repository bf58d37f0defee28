# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" { hosts = ["10.0.0.1"] }

alias "console" { command = "app exec -i --reuse bin/rails console" }
alias "tail" { command = "app logs -f --roles web" }
alias "db" { command = "accessory exec db -i psql -h localhost" }
alias "uname" { command = "app exec -p -q --roles web uname -a" }

# aliases.again: kamald has no command redeploy.
# aliases.status: kamald has a command of that name; give the alias another.

alias "run-on" { command = "app exec --hosts 10.0.0.1 grep -r x /y" }
alias "ship" { command = "deploy -d production" }

# aliases.odd: kamald has no command bin/whatever.
