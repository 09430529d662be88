package database

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
		want       string
		wantErr    string
	}{
		{
			name: "MySQL",
			line: "mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)",
			want: "MySQL 8.4.3 (/bin/d)",
		},
		{
			name: "MySQL of a distribution",
			line: "/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))",
			want: "MySQL 9.7.4 (/bin/d)",
		},
		{
			name: "MariaDB under MySQL's name",
			line: "mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)",
			want: "MariaDB 10.11.6 (/bin/d)",
		},
		{
			name:    "MySQL too old",
			line:    "mysqld  Ver 5.7.44 for Linux on x86_64 (MySQL Community Server (GPL))",
			wantErr: "older than 8.0.22",
		},
		{
			name:    "MariaDB too old, though newer than MySQL's oldest",
			line:    "mariadbd  Ver 10.6.16-MariaDB for Linux on x86_64",
			wantErr: "older than 10.11.0",
		},
		{name: "something else", line: "command not understood", wantErr: "cannot tell its version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseVersion("/bin/d", tt.line)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("%v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// fakeServer is a program that says it is a server of some version.
func fakeServer(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mysqld")
	script := "#!/bin/sh\necho '" + line + "'\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChoose(t *testing.T) {
	mysqld := fakeServer(t, "mysqld  Ver 8.4.3 for Linux on x86_64")
	t.Setenv("PATH", filepath.Dir(mysqld)+":/bin:/usr/bin")
	tests := []struct {
		name, choice, made string
		throwaway          bool
		want, wantErr      string
	}{
		{name: "new directory takes what is installed", choice: Auto, want: "mysql"},
		{name: "empty means auto", want: "mysql"},
		{name: "a directory keeps its engine", choice: Auto, made: "tidb", want: "tidb"},
		{name: "a throwaway directory does not", choice: Auto, made: "tidb", throwaway: true, want: "mysql"},
		{name: "a directory whose engine is gone", choice: Auto, made: "percona", wantErr: "holds data of a percona server"},
		{name: "embedded is asked for", choice: Embedded, made: "mysql", want: "tidb"},
		{name: "installed is asked for", choice: Installed, made: "tidb", want: "mysql"},
		{name: "a path", choice: mysqld, want: "mysql"},
		{name: "unknown", choice: "oracle", wantErr: "unknown choice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.made != "" {
				if err := (state{Kind: tt.made}).save(dir); err != nil {
					t.Fatal(err)
				}
			}
			got, err := choose(context.Background(), Options{
				DataDir: dir, Choice: tt.choice, Throwaway: tt.throwaway, Progress: func(string) {},
			})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.kind() != tt.want {
				t.Errorf("%s, want %s", got.kind(), tt.want)
			}
		})
	}
}
