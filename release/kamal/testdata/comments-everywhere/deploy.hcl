# Made from config/deploy.yml by `kamald import`.

# Head of the file
#
# in two paragraphs
#
# of the service
service      = "shop" # behind the service
image        = "acme/shop"
primary_role = "web"

# of the dropped one
# behind the dropped one
# of the registry
registry {
  username = "acme"
  # of the password
  # of the name
  password = secret("REGISTRY_PASSWORD") # behind the name
}

build { arch = ["amd64"] }

env {
  # of clear
  clear = {
    # of A
    A = "1" # behind A
  }
  # of secret
  secret = [
    # of S
    "S", # behind S
  ]
}
# the end

# of the servers
# behind the servers
# of web
role "web" { # behind web
  # of hosts
  hosts = [ # behind hosts
    # of the first
    "10.0.0.1", # behind the first
    # after the first
  ]
}
# commented out:
# jobs:
#   hosts: [10.0.0.2]
