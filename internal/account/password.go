package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// The bounds of a password, in characters.
const (
	MinPassword = 8
	MaxPassword = 128
)

//go:embed common_passwords.txt
var commonPasswordList string

// commonPasswords are those that guessing begins with, in lower case.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	common := map[string]bool{}
	for line := range strings.Lines(commonPasswordList) {
		common[strings.TrimSpace(line)] = true
	}
	return common
})

// PasswordFault says why a password that a person chose for an address is not
// taken; "" where it is.
func PasswordFault(password, email string) string {
	if fault := passwordLengthFault(password); fault != "" {
		return fault
	}
	folded := norm.NFC.String(strings.ToLower(norm.NFC.String(password)))
	first, _ := utf8.DecodeRuneInString(folded)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case strings.Trim(folded, string(first)) == "", commonPasswords()[folded]:
		return "is among the passwords that are guessed first; choose another"
	case folded == email, folded == local:
		return "must not be your e-mail address"
	}
	return ""
}

func passwordLengthFault(password string) string {
	switch length := utf8.RuneCountInString(password); {
	case length < MinPassword:
		return fmt.Sprintf("must have at least %d characters", MinPassword)
	case length > MaxPassword:
		return fmt.Sprintf("must have at most %d characters", MaxPassword)
	}
	return ""
}

// The cost of a hash: argon2id with 19 MiB, two passes, one lane, which takes
// some 20 ms.
const (
	hashMemory = 19 * 1024 // KiB
	hashPasses = 2
	hashLanes  = 1
	saltBytes  = 16
	keyBytes   = 32
)

// maxParallelHashes bounds the memory that people who sign in at once can
// claim; the others wait their turn.
const maxParallelHashes = 4

// hasher hashes and verifies passwords, a few at a time.
type hasher struct {
	turns  chan struct{}
	derive func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte
}

func newHasher() *hasher {
	return &hasher{turns: make(chan struct{}, maxParallelHashes), derive: argon2.IDKey}
}

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.turns }

// hash returns a password's hash as a PHC string, with a salt of its own.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	key := h.derive(passwordBytes(password), salt, hashPasses, hashMemory, hashLanes, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// verify reports whether a password is that of a hash.
func (h *hasher) verify(ctx context.Context, phc, password string) (bool, error) {
	parsed, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	key := h.derive(passwordBytes(password), parsed.salt, parsed.passes, parsed.memory, parsed.lanes, uint32(len(parsed.key)))
	return subtle.ConstantTimeCompare(key, parsed.key) == 1, nil
}

// nobody is the hash that is verified for addresses without an account, so
// that they take as long as those with one. No password matches it.
var nobody = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashLanes,
	base64.RawStdEncoding.EncodeToString(make([]byte, saltBytes)),
	base64.RawStdEncoding.EncodeToString(make([]byte, keyBytes)))

// passwordBytes composes a password (NFC): keyboards differ in how they send
// the same accented letter.
func passwordBytes(password string) []byte { return norm.NFC.Bytes([]byte(password)) }

type phcHash struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// parsePHC reads a stored hash, which may have been made at another cost.
func parsePHC(phc string) (phcHash, error) {
	var parsed phcHash
	var version int
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return parsed, fmt.Errorf("stored password hash: not an argon2id PHC string")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return parsed, fmt.Errorf("stored password hash: unknown version")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &parsed.memory, &parsed.passes, &parsed.lanes); err != nil {
		return parsed, fmt.Errorf("stored password hash: parameters: %w", err)
	}
	if parsed.passes == 0 || parsed.lanes == 0 || parsed.memory > 1<<20 {
		return parsed, fmt.Errorf("stored password hash: parameters out of bounds")
	}
	var err error
	if parsed.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return parsed, fmt.Errorf("stored password hash: salt: %w", err)
	}
	if parsed.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(parsed.key) < 16 {
		return parsed, fmt.Errorf("stored password hash: key is damaged")
	}
	return parsed, nil
}
