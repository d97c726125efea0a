package server

// OnTrial says whether a configuration is on trial.
func (s *Server) OnTrial() bool {
	s.trial.mu.Lock()
	defer s.trial.mu.Unlock()
	return s.trial.timer != nil
}

// The parsers, for their fuzz targets.
var (
	ParseMeminfo = parseMeminfo
	ParseSockets = parseSockets
)
