package conformance_test

import "github.com/kamald/kamald/reconcile"

func init() {
	cases(map[string]func(*subject){
		"assets out of an image": func(s *subject) {
			ref := s.image("v1", program{files: map[string]string{"/public/assets/app.js": "js", "/public/assets/.hidden": "hidden", "/public/assets/deep/er/a.png": "png", "/public/other": "x"}})
			id := s.create("a", ref)
			_, err := s.engine.Download(s.ctx, id, "/nowhere")
			s.note("a directory that is not there", err)
			_, err = s.engine.Download(s.ctx, s.named("none"), "/public/assets")
			s.note("a container that is not there", err)
			unpack := func(what, dir string) {
				archive, err := s.engine.Download(s.ctx, id, "/public/assets")
				s.must(err)
				s.note(what, s.files.Unpack(s.ctx, s.file(dir), archive), archive.Close())
			}
			unpack("unpack", "d/one")
			unpack("unpack once more", "d/one")
			s.tree("one", "d/one", "app.js", ".hidden", "deep/er/a.png")
		},
		"trees share": func(s *subject) {
			for name, text := range map[string]string{"from/a": "a", "from/.b": "b", "from/d/e/f": "f", "to/a": "its own", "to/d/g": "g"} {
				s.must(s.files.Write(s.ctx, s.file(name), []byte(text), 0o644))
			}
			s.note("share", s.files.Share(s.ctx, s.file("from"), s.file("to")))
			s.note("once more", s.files.Share(s.ctx, s.file("from"), s.file("to")))
			s.note("with what is not there", s.files.Share(s.ctx, s.file("from"), s.file("new/to")))
			s.note("from what is not there", s.files.Share(s.ctx, s.file("none"), s.file("to")))
			s.note("the one goes", s.files.Remove(s.ctx, s.file("from")))
			s.tree("to", "to", "a", ".b", "d/e/f", "d/g")
			s.tree("new", "new/to", "a", ".b", "d/e/f", "d/g")
		},
	})
}

// tree notes what files of a tree have, and the names at its top.
func (s *subject) tree(what, dir string, names ...string) {
	var files reconcile.Files = s.files
	top, err := files.List(s.ctx, s.file(dir))
	s.note(what, top, err)
	for _, name := range names {
		data, err := files.Read(s.ctx, s.file(dir+"/"+name))
		s.note(what+" "+name, string(data), err)
	}
}
