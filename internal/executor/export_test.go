package executor

// Origin is origin, for its test.
var Origin = origin

// Judge is what the guard says of an address that is about to be connected.
func (t *Transport) Judge(network, address string) error {
	return t.connect.dialer.Control(network, address, nil)
}

// Scrub hides secrets in a body, as a call does.
func Scrub(secrets []string, body []byte, incomplete bool) []byte {
	return newScrubber(secrets).body(body, incomplete)
}

// WorkOfScrub is what looking for secrets in a body takes, and the most that it may.
func WorkOfScrub(secrets []string, body []byte) (work, most int) {
	s := newScrubber(secrets)
	if s.all {
		return 0, 0
	}
	return workFor(body) - s.find.search(body, true).left, workFor(body)
}
