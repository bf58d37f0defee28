package environ

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestOnlyTheNamedVariablesAreKept(t *testing.T) {
	var asked []string
	remote := NewRemote(func(_ context.Context, argv []string) (net.Conn, error) {
		asked = argv
		return saying("A=1\x00TOKEN=canary\x00B=two\nlines = x\x00EMPTY=\x00=odd\x00junk\x00"), nil
	})
	got, err := remote.Variables(t.Context(), []string{"A", "B", "EMPTY", "ABSENT"})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"A": "1", "B": "two\nlines = x", "EMPTY": ""}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Equal(asked, []string{"env", "-0"}) {
		t.Errorf("ran %q", asked)
	}
}

func TestACommandThatFailsIsAnError(t *testing.T) {
	broken := errors.New("no session")
	remote := NewRemote(func(context.Context, []string) (net.Conn, error) { return nil, broken })
	if _, err := remote.Variables(t.Context(), []string{"A"}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestAnEnvironmentThatIsCutOffIsAnError(t *testing.T) {
	remote := NewRemote(func(context.Context, []string) (net.Conn, error) {
		return saying(strings.Repeat("A=1\x00", limit)), nil
	})
	if got, err := remote.Variables(t.Context(), []string{"A"}); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestACancelledLookEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	remote := NewRemote(func(context.Context, []string) (net.Conn, error) {
		here, _ := net.Pipe()
		cancel()
		return here, nil
	})
	if _, err := remote.Variables(ctx, []string{"A"}); err == nil {
		t.Error("a session that says nothing has answered")
	}
}

func TestThisMachinesOwn(t *testing.T) {
	t.Setenv("KAMALD_ENVIRON_TEST", "here")
	got, err := Local{}.Variables(t.Context(), []string{"KAMALD_ENVIRON_TEST", "KAMALD_ENVIRON_ABSENT"})
	if err != nil || !maps.Equal(got, map[string]string{"KAMALD_ENVIRON_TEST": "here"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// saying is a connection that says something and ends.
func saying(text string) net.Conn {
	here, there := net.Pipe()
	go func() {
		_, _ = io.Copy(there, strings.NewReader(text))
		there.Close()
	}()
	return here
}
