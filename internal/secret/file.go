package secret

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a master key in a local file: 32 random bytes in base64, one line.
type File struct {
	name string
	aead cipher.AEAD
}

// ReadFile reads the master key from a file.
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("master key: %s must hold %d random bytes in base64, and nothing else", path, keyBytes)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	fingerprint := sha256.Sum256(append([]byte("master key "), key...))
	return &File{name: "file:" + hex.EncodeToString(fingerprint[:6]), aead: aead}, nil
}

// EnsureFile makes a master key in a file that only its owner can read, unless
// the file is there already. A crash leaves all of it or none.
func EnsureFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // it names the path
	}
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // crypto/rand never fails
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	// CreateTemp makes files that only their owner can read.
	_, err = temporary.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	// A link, unlike a renaming, never takes the place of another's key.
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("master key: %w", err)
	}
	return nil
}

// Name tells keys apart and says nothing of them.
func (f *File) Name() string { return f.name }

// wrapping is what wrapped data keys are bound to.
var wrapping = []byte("data key")

// NewDataKey makes a data key.
func (f *File) NewDataKey(context.Context) (plain, wrapped []byte, err error) {
	plain, nonce := make([]byte, keyBytes), make([]byte, nonceBytes)
	_, _ = rand.Read(plain) // crypto/rand never fails
	_, _ = rand.Read(nonce)
	return plain, f.aead.Seal(nonce, nonce, plain, wrapping), nil
}

// Unwrap opens a data key.
func (f *File) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	if len(wrapped) < nonceBytes {
		return nil, errors.New("the wrapped key is too short")
	}
	plain, err := f.aead.Open(nil, wrapped[:nonceBytes], wrapped[nonceBytes:], wrapping)
	if err != nil {
		return nil, errors.New("it was wrapped under another master key, or is damaged")
	}
	return plain, nil
}
