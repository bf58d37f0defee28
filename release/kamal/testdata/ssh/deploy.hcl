# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

secrets {
  files = [
    ".kamal/secrets-common",
    destination == "" ? ".kamal/secrets" : ".kamal/secrets.${destination}",
    ".kamald/secrets",
  ]
}

ssh {
  user          = "deploy"
  port          = 2222
  keys          = ["~/.ssh/deploy.pem"]
  keys_only     = true
  key_data      = [secret("SSH_KEY"), secret("SSH_PRIVATE_KEY"), secret("SSH_PRIVATE_KEY_2")]
  jump          = "root@bastion.example.com"
  config        = false
  forward_agent = false
  dial_limit    = 10
  dns_retries   = 5
}

role "web" { hosts = ["10.0.0.1"] }
