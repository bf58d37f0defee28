package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state/etcd"
)

// openCluster gives the store in the cluster that a bastion's file names. Nothing is reached yet.
func openCluster(store release.Store) (*etcd.Store, error) {
	config := etcd.Config{Endpoints: store.Etcd, CA: store.CA, Certificate: store.Certificate, Key: store.Key, Username: store.Username}
	if path := store.PasswordFile; path != "" {
		config.Password = func() (string, error) {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("store.password_file: %w", err)
			}
			return strings.TrimRight(string(data), "\r\n"), nil
		}
		if _, err := config.Password(); err != nil { // before anything else begins
			return nil, err
		}
	}
	return etcd.Open(config)
}
