# Made from config/deploy.yml by `kamald import`.

service      = "shop"
image        = "acme/shop"
primary_role = "web"
volumes      = ["shared:/shared"]

registry {
  username = "acme"
  password = secret("REGISTRY_PASSWORD")
}

build { arch = ["amd64"] }

role "web" {
  hosts = ["10.0.0.1"]
  # servers.web.options.network: containers are in one network, which `network` at the top of the file names; Kamal puts this one into a second.
  # servers.web.options.env[1]: only NAME=value, known here, can be said in clear.
  labels  = { team = "checkout" }
  volumes = ["shared:/shared", "/var/log/shop:/app/log"]
  options = {
    publish         = ["8080:8080", "9000:9000/udp"]
    entrypoint      = "/entry.sh"
    health-cmd      = "curl -f http://localhost/up"
    health-interval = "5s"
    hostname        = "shop-web"
    restart         = "always"
    memory          = "512m"
    memory-swap     = "1g"
    ulimit          = ["nofile=65536:65536"]
    add-host        = ["db:10.0.0.9"]
    privileged      = false
    shm-size        = "64m"
    user            = "1000:1000"
    gpus            = "all"
  }

  env { clear = { EXTRA = "1" } }

  logging { options = { max-size = "20m" } }

  stop { signal = "QUIT" }
}

role "jobs" {
  hosts = ["10.0.0.2"]
  # servers.jobs.options.mount: the host's shell expands a part of it, and kamald uses none.
  # servers.jobs.options.init: an option has a value: true for a switch.
  options = { publish = 9090, cpus = "0.5" }
  # role "jobs".options.memroy is left out: docker run has no option "memroy". Did you mean "memory"?
}
