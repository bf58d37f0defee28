package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestAnUploadIsCountedAndAWebsocketAnswersWithTheSame(t *testing.T) {
	server := httptest.NewServer(handler(settings{}))
	defer server.Close()
	response, err := server.Client().Post(server.URL+"/upload", "text/plain", strings.NewReader(strings.Repeat("x", 70000)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := make([]byte, 100)
	if n, _ := response.Body.Read(body); string(body[:n]) != "70000 bytes\n" {
		t.Errorf("an upload is answered %q", body[:n])
	}
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	for _, size := range []int{1, 125, 126, 70000} {
		message := strings.Repeat("x", size)
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(t.Context()); err != nil || string(got) != message {
			t.Fatalf("a message of %d bytes is answered with %d, %v", size, len(got), err)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("the goodbye: %v", err)
	}
}
