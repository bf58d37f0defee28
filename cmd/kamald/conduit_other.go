//go:build !unix

package main

import (
	"os"

	"github.com/kamald/kamald/state"
)

// terminalSizes gives none: nobody tells of them here.
func terminalSizes(*os.File) (<-chan state.Size, func()) { return nil, func() {} }
