package conformance_test

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func init() {
	cases(map[string]func(*subject){
		"an image that is not there": func(s *subject) {
			_, err := s.engine.Image(s.ctx, s.repo()+":v1")
			s.note("inspect", err)
			s.note("tag", s.engine.Tag(s.ctx, s.repo()+":v1", s.repo()+":v2"))
			s.note("remove", s.engine.RemoveImage(s.ctx, s.repo()+":v1"))
			list, err := s.engine.Images(s.ctx, s.repo())
			s.note("list", len(list), err)
			s.note("pull", s.engine.Pull(s.ctx, s.repo()+":v1", "", s.auth))
			_, err = s.engine.Manifest(s.ctx, s.repo()+":v1", s.auth)
			s.note("resolve", err)
			s.note("pull by digest", s.engine.Pull(s.ctx, s.repo()+"@sha256:"+strings.Repeat("0", 64), "", s.auth))
			reader, err := s.engine.Save(s.ctx, s.repo()+":v1")
			if err == nil {
				_, err = io.Copy(io.Discard, reader)
				_ = reader.Close()
			}
			s.note("save", err)
		},
		"a missing tag of a repository that is there": func(s *subject) {
			s.image("v1", program{})
			s.note("pull", s.engine.Pull(s.ctx, s.repo()+":v9", "", s.auth))
			_, err := s.engine.Manifest(s.ctx, s.repo()+":v9", s.auth)
			s.note("resolve", err)
		},
		"the tags of a repository": func(s *subject) {
			for _, tag := range []string{"v1.10.0", "v1.9.0", "v1.2.0-rc.1"} {
				s.push("conf/"+s.slug(), tag, program{})
			}
			tags, err := s.registry.Tags(s.ctx, s.repo(), s.auth)
			s.note("list", tags, err)
			tags, err = s.registry.Tags(s.ctx, s.repo()+"-other", s.auth)
			s.note("of another", len(tags), err)
			wrong := s.auth
			wrong.Password = release.NewSecret("wrong")
			_, err = s.registry.Tags(s.ctx, s.repo(), wrong)
			s.note("with the wrong password", err)
			_, err = s.registry.Tags(s.ctx, s.repo(), release.Auth{})
			s.note("with none", err)
		},
		"who logs in": func(s *subject) {
			wrong := s.auth
			wrong.Password = release.NewSecret("wrong")
			s.note("with the right ones", s.engine.Login(s.ctx, s.auth))
			s.note("with wrong ones", s.engine.Login(s.ctx, wrong))
			s.note("again with the right ones", s.engine.Login(s.ctx, s.auth))
		},
		"wrong credentials": func(s *subject) {
			s.push("conf/"+s.slug(), "v1", program{})
			wrong := s.auth
			wrong.Password = release.NewSecret("wrong")
			s.note("pull", s.engine.Pull(s.ctx, s.repo()+":v1", "", wrong))
			_, err := s.engine.Manifest(s.ctx, s.repo()+":v1", wrong)
			s.note("resolve", err)
			s.note("pull with none", s.engine.Pull(s.ctx, s.repo()+":v1", "", release.Auth{}))
			_, err = s.engine.Manifest(s.ctx, s.repo()+":v1", release.Auth{})
			s.note("resolve with none", err)
			s.note("pull with the right ones", s.engine.Pull(s.ctx, s.repo()+":v1", "", s.auth))
		},
		"pull by tag and by digest": func(s *subject) {
			ref := s.image("v1", program{})
			s.note("again", s.engine.Pull(s.ctx, ref, "", s.auth))
			found, err := s.engine.Manifest(s.ctx, ref, s.auth)
			digest := found.Digest
			s.note("resolve", len(digest), found.Platforms, err)
			m, err := s.engine.Image(s.ctx, ref)
			s.must(err)
			s.images("as pulled")
			s.note("inspected", m.Inspected, m.Arch, m.Ports, m.Cmd, m.Env, m.Labels, m.Healthcheck, m.StopSignal)
			s.note("its digest is the registry's", len(m.Digests) == 1 && m.Digests[0] == s.repo()+"@"+digest)
			byID, err := s.engine.Image(s.ctx, m.ID)
			s.note("by id", byID.ID == m.ID, err)
			byDigest, err := s.engine.Image(s.ctx, s.repo()+"@"+digest)
			s.note("by digest", byDigest.ID == m.ID, err)
			s.must(s.engine.RemoveImage(s.ctx, ref))
			s.images("removed")
			s.note("pull by digest", s.engine.Pull(s.ctx, s.repo()+"@"+digest, "", s.auth))
			s.images("by digest alone")
			s.note("tag it", s.engine.Tag(s.ctx, s.repo()+"@"+digest, ref))
			s.images("tagged")
		},
		"a tag moves": func(s *subject) {
			one, two := s.image("v1", program{}), s.image("v2", program{sick: true})
			latest := s.repo() + ":latest"
			s.note("tag", s.engine.Tag(s.ctx, one, latest))
			s.images("on one")
			s.note("tag again", s.engine.Tag(s.ctx, one, latest))
			s.note("move", s.engine.Tag(s.ctx, two, latest))
			s.images("on two")
			s.note("remove one of two tags", s.engine.RemoveImage(s.ctx, latest))
			s.images("without latest")
			s.note("remove again", s.engine.RemoveImage(s.ctx, latest))
		},
		"a tag of docker hub": func(s *subject) {
			ref, mine := s.image("v1", program{}), "kamald-conf/"+s.slug()
			for _, hub := range []string{"docker.io/", "index.docker.io/", ""} {
				s.note("tag", s.engine.Tag(s.ctx, ref, hub+mine+":v1"))
				list, err := s.engine.Images(s.ctx, hub+mine)
				if len(list) == 1 {
					s.note("it is listed as", list[0].Tags, err)
				}
				m, err := s.engine.Image(s.ctx, hub+mine+":v1")
				s.note("it is inspected as", slices.Contains(m.Tags, mine+":v1"), err)
				s.note("remove", s.engine.RemoveImage(s.ctx, hub+mine+":v1"))
				_, err = s.engine.Image(s.ctx, mine+":v1")
				s.note("then", err)
			}
		},
		"an image in use": func(s *subject) {
			ref := s.image("v1", program{})
			s.start("a", ref)
			s.note("remove the image of a running one", s.engine.RemoveImage(s.ctx, ref))
			s.images("then")
			other := s.repo() + ":other"
			s.must(s.engine.Tag(s.ctx, ref, other))
			s.note("remove one of two tags", s.engine.RemoveImage(s.ctx, other))
			s.images("with one tag")
			s.must(s.engine.Stop(s.ctx, s.named("a"), 0))
			s.note("remove the image of a stopped one", s.engine.RemoveImage(s.ctx, ref))
			s.must(s.engine.Remove(s.ctx, s.named("a")))
			s.note("remove with the container gone", s.engine.RemoveImage(s.ctx, ref))
			s.images("at last")
		},
		"a tag moves away under a container": func(s *subject) {
			ref := s.image("v1", program{})
			id := s.start("a", ref)
			s.image("v2", program{sick: true})
			s.must(s.engine.Tag(s.ctx, s.repo()+":v2", ref))
			c, err := s.engine.Inspect(s.ctx, id, state.View{})
			s.must(err)
			m, err := s.engine.Image(s.ctx, ref)
			s.note("the container's image is the tag's", c.ImageID == m.ID, err)
			old, err := s.engine.Image(s.ctx, c.ImageID)
			s.note("the container's image", len(old.Tags), len(old.Digests), err)
		},
		"remove by ID": func(s *subject) {
			ref := s.image("v1", program{})
			m, err := s.engine.Image(s.ctx, ref)
			s.must(err)
			s.must(s.engine.Tag(s.ctx, ref, s.repo()+":again"))
			s.note("with two tags of one repository", s.engine.RemoveImage(s.ctx, m.ID))
			s.images("then")
		},
		"save and load": func(s *subject) {
			ref := s.image("v1", program{})
			m, err := s.engine.Image(s.ctx, ref)
			s.must(err)
			reader, err := s.engine.Save(s.ctx, ref)
			s.must(err)
			data, err := io.ReadAll(reader)
			s.must(err)
			s.must(reader.Close())
			s.must(s.engine.RemoveImage(s.ctx, ref))
			s.note("load", s.engine.Load(s.ctx, bytes.NewReader(data)))
			s.images("loaded")
			back, err := s.engine.Image(s.ctx, ref)
			s.note("it is the same", back.ID == m.ID, err)
			s.note("load again", s.engine.Load(s.ctx, bytes.NewReader(data)))
			s.note("load nonsense", s.engine.Load(s.ctx, strings.NewReader("nonsense")))
		},
		"load without the layers that are there": func(s *subject) {
			ref := s.image("v1", program{})
			m, err := s.engine.Image(s.ctx, ref)
			s.must(err)
			n := len(m.Layers)
			s.note("its layers are known", n > 0)
			spool := &image.Spool{Dir: s.t.TempDir()}
			defer spool.Close()
			reader, err := s.engine.Save(s.ctx, m.ID)
			s.must(err)
			s.must(spool.Fill(s.ctx, reader, m.Layers))
			s.must(reader.Close())
			archive := func(from int, tag string) []byte {
				r, err := spool.Archive(from, n, s.repo()+":"+tag, nil)
				s.must(err)
				data, err := io.ReadAll(r)
				s.must(err)
				return data
			}
			s.note("with none", s.engine.Load(s.ctx, bytes.NewReader(archive(n, "again"))))
			s.images("twice")
			s.must(s.engine.RemoveImage(s.ctx, s.repo()+":again"))
			s.must(s.engine.RemoveImage(s.ctx, ref)) // its layers may stay: other cases' images have them too
			s.note("with all", s.engine.Load(s.ctx, bytes.NewReader(archive(0, "v1"))))
			back, err := s.engine.Image(s.ctx, ref)
			s.note("it is the same", back.ID == m.ID, err)
		},
		"list all images": func(s *subject) {
			ref := s.image("v1", program{})
			list, err := s.engine.Images(s.ctx, "")
			found := slices.ContainsFunc(list, func(m state.Image) bool { return slices.Contains(m.Tags, ref) })
			s.note("it is among all", found, err)
		},
	})
}

// images notes what a list of the case's repository says.
func (s *subject) images(what string) {
	list, err := s.engine.Images(s.ctx, s.repo())
	if err != nil {
		s.note(what, err)
		return
	}
	var words []string
	for _, m := range list {
		var tags []string
		for _, tag := range m.Tags {
			tags = append(tags, strings.TrimPrefix(tag, s.repo()+":"))
		}
		word := strings.Join(tags, "+")
		if len(m.Digests) > 0 {
			word += "@"
		}
		words = append(words, word)
	}
	s.note(what, len(list), sorted(words))
}
