package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// frameLimit bounds a message of a websocket.
const frameLimit = 1 << 20

// upload reads a whole body and answers with its size.
func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "the body broke off: "+err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes\n", n)
}

// echoes is a websocket that answers each message with the same, until the client closes (RFC 6455).
func echoes(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "this is a websocket", http.StatusUpgradeRequired)
		return
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for err == nil {
		err = echoFrame(buffered.Reader, conn)
	}
}

// echoFrame sends a client's frame back, without its mask. A close frame is answered and is the end.
func echoFrame(in *bufio.Reader, out io.Writer) error {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	size := uint64(head[1] & 0x7f)
	reply := []byte{head[0], byte(size)}
	if extra := map[uint64]int{126: 2, 127: 8}[size]; extra > 0 {
		var long [8]byte
		if _, err := io.ReadFull(in, long[8-extra:]); err != nil {
			return err
		}
		size = binary.BigEndian.Uint64(long[:])
		reply = append(reply, long[8-extra:]...)
	}
	if size > frameLimit || head[1]&0x80 == 0 {
		return errors.New("a frame that is too long or has no mask")
	}
	var mask [4]byte
	payload := make([]byte, size)
	if _, err := io.ReadFull(in, mask[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(in, payload); err != nil {
		return err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	if _, err := out.Write(append(reply, payload...)); err != nil {
		return err
	}
	if head[0]&0x0f == 8 {
		return io.EOF
	}
	return nil
}
