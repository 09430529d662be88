package database

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// user is the account that a Server is used with.
const user = "cron_jobs"

// state is what a data directory remembers between runs, in state.json.
type state struct {
	// Kind is the engine whose data the directory holds.
	Kind string `json:"kind"`
	// Port is kept from run to run while it is free, so that a client's saved
	// connection goes on working.
	Port     int    `json:"port"`
	Password string `json:"password"`
	// Owner and Server are the process ids of the last run: the program that
	// started the server, and the server. They mean something only while the
	// directory's lock is held.
	Owner  int `json:"owner"`
	Server int `json:"server"`
}

// loadState reads the state of a data directory; a new directory has none, and
// answers the zero state.
func loadState(dir string) (state, error) {
	var s state
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	return s, nil
}

// nextState is the state for a run that is about to begin: the remembered
// password and port where there are any.
func nextState(dir, kind string, freshPort bool) (state, error) {
	s, err := loadState(dir)
	if err != nil {
		return s, err
	}
	s.Kind, s.Owner, s.Server = kind, os.Getpid(), 0
	if s.Password == "" {
		s.Password = rand.Text()
	}
	if s.Port == 0 || freshPort || !portFree(s.Port) {
		if s.Port, err = freePort(); err != nil {
			return s, err
		}
	}
	return s, s.save(dir)
}

// save replaces the state file at once, readable by its owner alone.
func (s state) save(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(statePath(dir), append(data, '\n'))
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// replaceFile writes a private file so that a crash leaves the old or the new
// content, never a part.
func replaceFile(path string, data []byte) error {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(part, path)
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
