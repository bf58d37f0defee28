package state

import "io"

// Streams are what the input and the output of a command are carried between. Whoever carries them writes to Out from one goroutine, and
// to Err from one. A write that fails ends the carrying with ErrUnwritten.
type Streams struct {
	In       io.Reader // nil: the command has no input
	Out, Err io.Writer
	Terminal *Terminal // nil: it has none. With one all output comes to Out
	Over     func()    // is called when nothing is carried any more, whatever is left to be done; nil: nobody asks
}

// Terminal is what a command gets that is to have one.
type Terminal struct {
	Kind    string // such as xterm-256color; "": not known
	Size    Size
	Resized <-chan Size // each further size, for as long as the command runs
}

// Size is how large a terminal is, in characters. The zero value is not known.
type Size struct{ Width, Height int }
