package job

import (
	"net/url"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Messages of the rules on kept secrets.
const (
	noStored      = "is masked, and there is no stored value to keep; enter it"
	hostChanged   = "enter it again, the host changed"
	wouldBeShown  = "enter it again, it would no longer be secret"
	wouldShowMask = "must go on naming %s while its stored value is kept"
	notReadable   = "enter it again, the stored value cannot be decrypted"
	neverEntered  = "was masked when the job was imported; enter it before the job is made active"
)

// keepSecrets puts stored values in the place of masks, and sees to it that a
// kept secret neither becomes readable nor goes to another host: whoever edits
// a job need not be one who may know its secrets.
func (in Input) keepSecrets(f *apperr.Faults, r *Request, stored *Request) {
	var before Request
	if stored != nil {
		before = *stored
	}
	moved := originMoved(before.URL, r.URL)
	r.Sealed = before.Sealed

	for _, name := range sortedNames(r.Headers) {
		entered := in.Headers.Given && r.Headers[name] != Mask
		if entered {
			continue
		}
		field := "headers." + name
		value, found := lookUp(before.Headers, name)
		if !found || value == Mask {
			if secret := IsSecretHeader(name, r.SecretHeaders); !secret || !found && !in.importing {
				f.Add(field, noStored)
			}
			continue // the mask stands: the value is missing
		}
		r.Headers[name] = value
		if !IsSecretValue(name, value, before.SecretHeaders) {
			continue
		}
		switch {
		case moved:
			f.Add(field, hostChanged)
		case IsSecretHeader(name, r.SecretHeaders):
		case in.Headers.Given:
			f.Add(field, wouldBeShown)
		default:
			f.Addf("secretHeaders", wouldShowMask, name)
		}
	}
	in.keepBody(f, r, before, moved)
}

func (in Input) keepBody(f *apperr.Faults, r *Request, before Request, moved bool) {
	if r.Body == nil || in.Body.Given && !isMask(r.Body) {
		return
	}
	if before.Body == nil || isMask(before.Body) {
		if !r.BodySecret || before.Body == nil && !in.importing {
			f.Add("body", noStored)
		}
		return // the mask stands: the body is missing
	}
	r.Body = before.Body
	if !before.BodySecret {
		return
	}
	switch {
	case moved:
		f.Add("body", hostChanged)
	case r.BodySecret:
	case in.Body.Given:
		f.Add("body", wouldBeShown)
	default:
		f.Add("bodySecret", "must stay true while the stored body is kept; enter the body again")
	}
}

// reasonSecretMissing is the status reason of a job that an import made
// inactive.
const reasonSecretMissing = "a secret was masked when the job was imported; enter it"

// ReasonUnreadable is shown as the status reason of a job whose stored headers
// cannot be read.
const ReasonUnreadable = "its stored headers cannot be read, so no call is made; enter them again"

// checkMissingSecrets keeps a job from running whose secrets were masked when
// it was imported: an import makes it inactive, anybody else is told.
func (in Input) checkMissingSecrets(f *apperr.Faults, j *Job) {
	missing := j.Request.missingSecrets()
	if j.Status != Active || len(missing) == 0 {
		return
	}
	if in.importing {
		j.Status = Inactive
		return
	}
	for _, field := range missing {
		if !f.Has(field) {
			f.Add(field, neverEntered)
		}
	}
}

// missingSecrets lists the fields whose secret was never entered. None is
// missing while the stored values are only closed.
func (r Request) missingSecrets() []string {
	if r.Sealed != nil {
		return nil
	}
	return r.maskedSecrets()
}

// maskedSecrets lists the fields that hold a mask in the place of a secret. No
// value that somebody entered is a mask.
func (r Request) maskedSecrets() []string {
	var fields []string
	for _, name := range sortedNames(r.Headers) {
		if r.Headers[name] == Mask && IsSecretHeader(name, r.SecretHeaders) {
			fields = append(fields, "headers."+name)
		}
	}
	if r.BodySecret && isMask(r.Body) {
		fields = append(fields, "body")
	}
	return fields
}

// originMoved reports whether two stored URLs differ in scheme, host or port.
func originMoved(before, after string) bool {
	if before == "" || before == after {
		return false
	}
	a, errA := url.Parse(before)
	b, errB := url.Parse(after)
	return errA != nil || errB != nil || !sameOrigin(a, b)
}
