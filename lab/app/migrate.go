package main

import (
	"fmt"
	"log"
	"os"
	"time"
)

// migrationsFile is where each migration leaves a line, on a volume.
const migrationsFile = "/data/migrations"

// migrate is the `app migrate` command: it takes APP_MIGRATE_TAKES, leaves its version and the length of API_TOKEN, and exits with
// APP_MIGRATE_EXIT. It heeds no signal, as a command does that nobody has taught to.
func migrate(lookup func(string) (string, bool)) int {
	r := reader{lookup: lookup}
	version, takes, exit, token := r.text("APP_VERSION", bakedVersion()), r.duration("APP_MIGRATE_TAKES"), r.number("APP_MIGRATE_EXIT", 0), r.text("API_TOKEN", "")
	if r.err != nil {
		log.Print(r.err)
		return 2
	}
	log.Printf("migrating to %s", version)
	time.Sleep(takes)
	if exit != 0 {
		log.Printf("no such column in %s", version)
		return exit
	}
	file, err := os.OpenFile(migrationsFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = fmt.Fprintf(file, "%s token=%d\n", version, len(token))
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		log.Print(err)
		return 1
	}
	return 0
}
