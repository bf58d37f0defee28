package main

import (
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
)

// besideFile is an accessory on two hosts beside the shop.
const besideFile = shopFile + `
accessory "cache" {
  image = "cache:7"
  hosts = ["web-1", "jobs-1"]
  volumes = ["shop-cache-sockets:/run/cache"]

  env { clear = { TZ = "UTC" } }
  directory "data" { to = "/data" }
  registry {
    server   = "registry.example.com"
    username = "deploy"
    password = secret("REGISTRY_PASSWORD")
  }
}
`

func TestAccessoriesAsTheyAreSaid(t *testing.T) {
	inTranscript(t, "accessory", func(tr *transcript) {
		tr.Push(sim.Image{Ref: "registry.example.com/cache:7", Behaviour: sim.Healthy(300 * time.Millisecond)})
		tr.write("deploy.hcl", besideFile)
		tr.run(0, "apply --version v1 -q")
		tr.run(0, "accessory exec cache --hosts jobs-1 -e COLOUR=red printenv TZ COLOUR")
		tr.run(0, "accessory exec cache true")
		tr.run(3, "accessory exec cache --reuse --hosts jobs-1 exit 3")
		tr.run(0, "accessory exec --raw --primary cache echo --json")
		tr.run(1, "accessory exec --raw cache echo all")
		tr.run(0, "accessory exec --detach --hosts web-1 cache bin/dump")
		tr.run(1, "accessory exec cash true")
		tr.Say("jobs-1", "shop-cache", "the first line")
		time.Sleep(2 * time.Second)
		tr.Say("web-1", "shop-cache", "the second line")
		tr.run(0, "accessory logs cache")
		tr.run(0, "accessory logs cache -T --grep first --json")
		tr.run(1, "accessory logs all")
		tr.run(0, "accessory stop cache --hosts web-1 --reason disks")
		tr.run(0, "accessory logs cache -T -n 1")
		tr.run(1, "accessory exec cache --reuse true")
		tr.Cut("web-1")
		tr.run(6, "accessory logs cache -T")
		tr.run(6, "details")
		tr.Restore("web-1")
		tr.run(0, "details")
		tr.run(0, "details --json --hosts jobs-1")
		tr.run(1, "accessory remove cache --with-data")
		tr.run(1, "remove")
		tr.run(0, "accessory remove cache -y --hosts jobs-1")
		tr.run(0, "remove -y")
		tr.run(0, "remove -y --with-data")
	})
}
