package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// archive makes the .tar.gz: one directory with everything.
func (r *release) archive(arch string, files []file) error {
	top := "kamald-" + r.version + "-linux-" + arch
	var under []file
	for _, f := range files {
		under = append(under, file{name: top + "/" + f.name, mode: f.mode, data: f.data})
	}
	data, err := tarOf(under, r.at)
	if err == nil {
		data, err = zipped(data)
	}
	if err != nil {
		return err
	}
	return r.put(top+".tar.gz", data)
}

// sum writes the checksums of all, as sha256sum -c reads them.
func (r *release) sum() error {
	slices.Sort(r.made)
	var b strings.Builder
	for _, name := range r.made {
		data, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), name)
	}
	return r.put("SHA256SUMS", []byte(b.String()))
}

// tarOf packs files and the directories that they are in, sorted, owned by root, at one time. A name that ends in a slash is a
// directory.
func tarOf(files []file, at time.Time) ([]byte, error) {
	named := map[string]file{}
	for _, f := range files {
		named[f.name] = f
		for dir := path.Dir(strings.TrimSuffix(f.name, "/")); dir != "."; dir = path.Dir(dir) {
			if _, ok := named[dir+"/"]; !ok {
				named[dir+"/"] = file{name: dir + "/", mode: 0o755}
			}
		}
	}
	var sorted []file
	for _, f := range named {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range sorted {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: at, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Uid: f.owner, Gid: f.owner}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// zipped compresses without a name and a time of its own.
func zipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
