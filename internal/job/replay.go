package job

import "strings"

// ReplayedUnder is the request of an earlier call as it is made once more: all
// as it was, but for what belongs to the job as it is now. Those are its rule on
// overlaps and the values of its secret headers, which may have been replaced
// because the old ones are no longer good. A value that was entered for another
// host stays where it is.
func (r Request) ReplayedUnder(present Request) Request {
	r.OverlapPolicy = present.OverlapPolicy
	if originMoved(r.URL, present.URL) {
		return r
	}
	headers := make(map[string]string, len(r.Headers))
	for name, value := range r.Headers {
		headers[name] = value
		if !IsSecretHeader(name, r.SecretHeaders) {
			continue
		}
		for other, now := range present.Headers {
			// A mask stands for a value that is missing.
			if strings.EqualFold(name, other) && IsSecretHeader(other, present.SecretHeaders) && now != Mask {
				headers[name] = now
			}
		}
	}
	if r.Headers != nil {
		r.Headers = headers
	}
	return r
}
