package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/release"
)

// Push sends a reference that the engine has to its registry, and gives the digest that it has there. The password goes to the engine
// in a header of that one call. Told gets what happens, a line at a time; nil is nobody.
//
// Errors: state.ErrNotFound for an image that is not there, state.ErrDenied for what the registry forbids, and what calls have in
// common. Repeating it is harmless: layers that the registry has are not sent again.
func (e *Engine) Push(ctx context.Context, ref string, auth release.Auth, told func(line string)) (digest string, err error) {
	header := encode(auth)
	if header == "" {
		header = base64.URLEncoding.EncodeToString([]byte("{}")) // engines refuse a push without one
	}
	stream, err := e.client.ImagePush(ctx, ref, client.ImagePushOptions{RegistryAuth: header})
	if err != nil {
		return "", e.failure(err, "push %s", ref)
	}
	defer stream.Close()
	digest, err = pushed(stream, told)
	return digest, e.failure(err, "push %s", ref)
}

// pushed reads a push's messages to their end. The digest comes in one of them, and so does the error.
func pushed(stream io.Reader, told func(line string)) (digest string, err error) {
	decoder := json.NewDecoder(stream)
	for {
		var message jsonstream.Message
		err := decoder.Decode(&message)
		switch {
		case errors.Is(err, io.EOF) && digest == "":
			return "", errors.New("the engine says that it is pushed, and not with which digest")
		case errors.Is(err, io.EOF):
			return digest, nil
		case err != nil:
			return "", err
		case message.Error != nil:
			return "", message.Error
		case message.Aux != nil:
			var result struct{ Digest string }
			if err := json.Unmarshal(*message.Aux, &result); err == nil && result.Digest != "" {
				digest = result.Digest
			}
		case told != nil && message.Progress == nil && message.Status != "":
			told(spokenOf(message))
		}
	}
}

// spokenOf is a message as a line.
func spokenOf(message jsonstream.Message) string {
	if message.ID == "" {
		return message.Status
	}
	return fmt.Sprintf("%s: %s", message.ID, message.Status)
}

// Login asks the registry whether it takes the name and the password; the engine keeps neither. An engine that pushes with a wrong
// password tries each layer for nearly a minute.
//
// Errors: state.ErrDenied for what the registry does not take, a *state.RegistryError for what it is at fault for, and what calls have in
// common.
func (e *Engine) Login(ctx context.Context, auth release.Auth) error {
	server, name := auth.Server, auth.Server
	if server == "" {
		server, name = hub, "docker.io"
	}
	_, err := e.client.RegistryLogin(ctx, client.RegistryLoginOptions{Username: auth.Username, Password: auth.Password.Reveal(), ServerAddress: server})
	return e.registryFailure(err, name+"/login", "log in at %s", server)
}
