package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxEmail is the longest address that mail can carry, in bytes.
const maxEmail = 254

// NormalizeEmail brings the spellings of one address together: trimmed,
// composed (NFC), lower case. Accounts are found by the outcome.
func NormalizeEmail(email string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(strings.TrimSpace(email))))
}

// emailFault says what is wrong with a normalised address; "" where nothing is.
func emailFault(email string) string {
	if email == "" {
		return "is required"
	}
	if len(email) > maxEmail {
		return "is too long"
	}
	parsed, err := mail.ParseAddress(email)
	// A display name, a comment or quotes make the parsed address differ.
	if err != nil || parsed.Address != email || strings.ContainsFunc(email, notInAddress) {
		return "must be an e-mail address such as ada@example.com"
	}
	return ""
}

func notInAddress(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
}

// maxName is the longest name of a user, in characters.
const maxName = 100

// nameFault says what is wrong with a trimmed name; "" where nothing is.
func nameFault(name string) string {
	switch {
	case name == "":
		return "must not be empty"
	case utf8.RuneCountInString(name) > maxName:
		return "must have at most 100 characters"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not have control characters"
	}
	return ""
}
