package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int    `json:"size"`
	Digest    string `json:"digest"`
}

// push uploads an image over the registry's own interface, so that this machine's engine need not trust the registry
// and keeps no copy.
func (r Registry) push(ctx context.Context, variant AppImage, built builtImage) error {
	manifest := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{SchemaVersion: 2, MediaType: manifestType}
	var err error
	if manifest.Config, err = r.pushBlob(ctx, variant.Repository, configType, built.config); err != nil {
		return err
	}
	for _, l := range built.layers {
		uploaded, err := r.pushBlob(ctx, variant.Repository, layerType, l.gzip)
		if err != nil {
			return err
		}
		manifest.Layers = append(manifest.Layers, uploaded)
	}
	content, err := json.Marshal(manifest)
	if err != nil {
		return fmt.Errorf("lab: push %s: %w", variant.Repository, err)
	}
	_, err = r.call(ctx, http.MethodPut, r.url(variant.Repository, "manifests", variant.Version), manifestType, content, http.StatusCreated)
	return err
}

func (r Registry) pushBlob(ctx context.Context, repository, mediaType string, content []byte) (descriptor, error) {
	blob := descriptor{MediaType: mediaType, Size: len(content), Digest: digest(content)}
	if _, err := r.call(ctx, http.MethodHead, r.url(repository, "blobs", blob.Digest), "", nil, http.StatusOK); err == nil {
		return blob, nil
	}
	begun, err := r.call(ctx, http.MethodPost, r.url(repository, "blobs", "uploads")+"/", "", nil, http.StatusAccepted)
	if err != nil {
		return descriptor{}, err
	}
	target, err := url.Parse(begun.Get("Location"))
	if err != nil {
		return descriptor{}, fmt.Errorf("lab: push to %s: location of the upload: %w", repository, err)
	}
	target = (&url.URL{Scheme: "http", Host: r.Push}).ResolveReference(target)
	query := target.Query()
	query.Set("digest", blob.Digest)
	target.RawQuery = query.Encode()
	_, err = r.call(ctx, http.MethodPut, target.String(), "application/octet-stream", content, http.StatusCreated)
	return blob, err
}

func (r Registry) url(repository, kind, name string) string {
	return (&url.URL{Scheme: "http", Host: r.Push}).JoinPath("v2", repository, kind, name).String()
}

// call makes one request with the password and returns the answer's header; another status than wanted is an error
// with the start of the body.
func (r Registry) call(ctx context.Context, method, target, mediaType string, body []byte, wanted int) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("lab: registry: %w", err)
	}
	request.SetBasicAuth(r.Username, r.Password.Reveal())
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("lab: registry: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	if response.StatusCode != wanted {
		return nil, fmt.Errorf("lab: registry: %s %s: %s: %s", method, request.URL.Path, response.Status, said)
	}
	return response.Header, nil
}
