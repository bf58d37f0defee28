# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

ssh {
  user          = "app"
  jump          = "ops@jump.example.com"
  proxy_command = "aws ssm start-session --target %h --document-name AWS-StartSSHSession"
  config        = ["config/ssh", "~/.ssh/config"]
}

role "web" { hosts = ["host.example.com"] }
