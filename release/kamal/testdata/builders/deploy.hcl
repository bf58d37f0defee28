# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build {
  context    = "."
  dockerfile = "deploy/Dockerfile"
  target     = "production"
  arch       = ["amd64", "arm64"]
  args       = { ENVIRONMENT = "production", COMMIT = git.sha }
  secrets    = ["GITHUB_TOKEN", "NPM_TOKEN"]
  ssh        = "default=$SSH_AUTH_SOCK"
  remote     = "ssh://builder@10.0.0.9"
  local      = false
  driver     = "docker-container"
  provenance = "mode=max"
  sbom       = true

  cache {
    type    = "gha"
    options = "mode=max"
  }
}

role "web" { hosts = ["10.0.0.1"] }
