package image

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// kind is what a file of an archive is.
type kind int

const (
	document    kind = iota // JSON
	plainLayer              // a layer as it is
	packedLayer             // a layer, compressed
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	tarMagic  = []byte("ustar")
)

// tarMagicAt is where an archive's magic is in its first block.
const tarMagicAt = 257

// sniff tells what a file is by how it begins, and gives it whole.
func sniff(content io.Reader) (io.Reader, kind, error) {
	buffered := bufio.NewReaderSize(content, 64<<10)
	head, err := buffered.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic), bytes.HasPrefix(head, zstdMagic):
		return buffered, packedLayer, nil
	case len(head) > tarMagicAt && bytes.HasPrefix(head[tarMagicAt:], tarMagic):
		return buffered, plainLayer, nil
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		return buffered, document, nil
	}
	return buffered, plainLayer, nil
}

// unpacked gives a layer as its diff ID is of it.
func unpacked(content io.Reader) (io.Reader, func(), error) {
	buffered := bufio.NewReaderSize(content, 64<<10)
	head, _ := buffered.Peek(len(zstdMagic)) // less is none of them
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		unzip, err := gzip.NewReader(buffered)
		return unzip, func() {}, err
	case bytes.HasPrefix(head, zstdMagic):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return decoder, decoder.Close, nil
	}
	return buffered, func() {}, nil
}

// pack writes a layer compressed with gzip, which every engine unpacks; fast, for the line is rarely faster than this.
func pack(to io.Writer, content io.Reader) (id string, size, packed int64, err error) {
	plain, done, err := unpacked(content)
	if err != nil {
		return "", 0, 0, fmt.Errorf("unpack: %w", err)
	}
	defer done()
	counted := &counter{Writer: to}
	zip, err := gzip.NewWriterLevel(counted, gzip.BestSpeed)
	if err != nil {
		return "", 0, 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(hash, zip), plain)
	if err == nil {
		err = zip.Close()
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), size, counted.written, err
}

// counter counts what is written.
type counter struct {
	io.Writer
	written int64
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.written += int64(n)
	return n, err
}
