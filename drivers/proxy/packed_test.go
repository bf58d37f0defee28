package proxy

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

func TestABinaryThatIsCompressedAlreadyGivesTheSameArchive(t *testing.T) {
	binary := bytes.Repeat([]byte("ELF"), 100_000)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(binary); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	unpacked := func(packed []byte) []byte {
		t.Helper()
		archive, err := archiveOf("kamald/proxy:v1", "amd64", binary, packed)
		if err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(archive)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if got, want := unpacked(packed.Bytes()), unpacked(nil); !bytes.Equal(got, want) {
		t.Errorf("%d bytes instead of %d", len(got), len(want))
	}
}
