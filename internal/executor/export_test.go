package executor

// Begun is begun, for its test.
var Begun = begun

// Origin is origin, for its test.
var Origin = origin

// Judge is what the guard says of an address that is about to be connected.
func (t *Transport) Judge(network, address string) error {
	return t.connect.dialer.Control(network, address, nil)
}
