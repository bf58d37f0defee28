package secrets

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// gcpDefault stands for the project or user that gcloud is set to.
const gcpDefault = "default"

// gcpSecretManager takes each secret by a call: [project/]name[/version]. The account is USER, or USER|SERVICE_ACCOUNT to act as
// a service account.
func gcpSecretManager(ctx context.Context, t *tool, q Query) ([]found, error) {
	if err := gcpLogIn(ctx, t); err != nil {
		return nil, err
	}
	user, service, _ := strings.Cut(q.Account, "|")
	var all []found
	for _, key := range q.Keys {
		project, name, version, err := gcpPath(prefixed(q.From, key))
		if err != nil {
			return nil, fmt.Errorf("%s: %q %w", t.title, key, err)
		}
		args := []string{"secrets", "versions", "access", version, "--secret=" + name}
		if project != gcpDefault {
			args = append(args, "--project="+project)
		}
		if user != gcpDefault {
			args = append(args, "--account="+user)
		}
		if service != "" {
			args = append(args, "--impersonate-service-account="+service)
		}
		value, err := gcpAccess(ctx, t, project+"/"+name, append(args, "--format=json"))
		if err != nil {
			return nil, err
		}
		all = append(all, found{project + "/" + name, key, value})
	}
	return all, nil
}

func gcpLogIn(ctx context.Context, t *tool) error {
	const otherwise = "run `gcloud auth login` before, or `gcloud auth activate-service-account`"
	in, err := gcpLoggedIn(ctx, t)
	if err != nil || in {
		return err
	}
	if _, err := t.ask(ctx, nil, otherwise, "auth", "login"); err != nil {
		return err
	}
	if in, err = gcpLoggedIn(ctx, t); err == nil && !in {
		err = fmt.Errorf("%s: nobody is logged in: %s", t.title, otherwise)
	}
	return err
}

func gcpLoggedIn(ctx context.Context, t *tool) (bool, error) {
	out, err := t.run(ctx, "auth", "list", "--format=json")
	if err != nil {
		return false, t.cannot("who is logged in", err)
	}
	var accounts []struct{}
	err = t.decode(out, &accounts)
	return len(accounts) > 0, err
}

func gcpPath(path string) (project, name, version string, err error) {
	parts := strings.Split(path, "/")
	if len(parts) == 1 {
		parts = []string{gcpDefault, parts[0]}
	}
	if len(parts) == 2 {
		parts = append(parts, "latest")
	}
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", "", "", errors.New("is no [project/]name[/version]")
	}
	return parts[0], parts[1], parts[2], nil
}

func gcpAccess(ctx context.Context, t *tool, what string, args []string) (string, error) {
	out, err := t.run(ctx, args...)
	if err != nil {
		return "", t.cannot(what, err)
	}
	var answer struct{ Payload struct{ Data *string } }
	if err := t.decode(out, &answer); err != nil {
		return "", err
	}
	if answer.Payload.Data == nil {
		return "", t.lacks("value in the answer for "+what, "")
	}
	// gcloud writes the variant that is safe in URLs.
	plain := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(*answer.Payload.Data)
	value, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return "", fmt.Errorf("%s: the answer for %s cannot be read: its data is no base64", t.title, what)
	}
	return string(value), nil
}
