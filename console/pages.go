package console

type pages struct{}

func newPages() (*pages, error) { return &pages{}, nil }
func pageRoutes() []route       { return nil }
func (s *Server) failPage(c *call, f failure) {
	_ = answer(c.w, f.status, Failure{Schema: Schema, Error: f.Error(), Next: f.next})
}
