package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/kamald/kamald/state"
)

// kindOf finds the one of state's errors that decides; nil when it is none.
func kindOf(err error) error {
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return state.ErrDenied
	}
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	if !ok {
		return nil
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return state.ErrDenied
	case http.StatusNotFound:
		return state.ErrNotFound
	}
	return nil
}

// answered tells whether a registry has answered at all, whatever it said.
func answered(err error) bool {
	_, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok || errors.Is(err, auth.ErrBasicCredentialNotFound)
}

// untrusted tells whether nobody that is trusted vouches for the certificate.
func untrusted(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return unknown
}

// hint says what mends it, where that is known.
func hint(err error) string {
	switch {
	case notTLS(err):
		return "; it speaks no TLS: list it in insecure-registries of the host's engine, which cannot pull from it either"
	case untrusted(err):
		return "; lay its authority's certificate on the host, as " + certsDir + "/SERVER/ca.crt, for the host's engine needs it too"
	}
	return ""
}

// notTLS tells whether what answered speaks no TLS.
func notTLS(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return record || errors.Is(err, http.ErrSchemeMismatch)
}
