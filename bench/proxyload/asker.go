package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// asker asks one thing again and again over one kept connection. It is as plain as can be, so that the load costs the machine
// little: answers must have a length.
type asker struct {
	address string
	request []byte
	conn    net.Conn
	in      *bufio.Reader
}

func newAsker(address, path string) *asker {
	return &asker{address: address, request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: proxyload\r\nAccept: */*\r\n\r\n", path, address)}
}

func (a *asker) close() {
	if a.conn != nil {
		_ = a.conn.Close()
	}
	a.conn = nil
}

// ask sends the request and reads the whole answer, which must be a 200.
func (a *asker) ask() error {
	_, err := a.send(a.request, 0)
	if err != nil {
		a.close()
	}
	return err
}

// upload sends a body of a size.
func (a *asker) upload(size int64) (int64, error) {
	head := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", a.address, size)
	return a.send(head, size)
}

func (a *asker) send(head []byte, body int64) (int64, error) {
	if a.conn == nil {
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			return 0, err
		}
		a.conn, a.in = conn, bufio.NewReaderSize(conn, 32<<10)
	}
	if err := a.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	if _, err := a.conn.Write(head); err != nil {
		return 0, err
	}
	if body > 0 {
		if _, err := io.CopyN(a.conn, zeros{}, body); err != nil {
			return 0, err
		}
	}
	return a.answer()
}

// answer reads a whole answer and returns its size.
func (a *asker) answer() (int64, error) {
	line, err := a.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer is %q", line)
	}
	size := int64(-1)
	for {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if size, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if size < 0 {
		return 0, errors.New("the answer has no length")
	}
	_, err = io.CopyN(io.Discard, a.in, size)
	return size, err
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
