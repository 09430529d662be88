package account

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestPasswordFault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		password string
		fine     bool
	}{
		"eight characters":            {"tr0ub4do", true},
		"seven":                       {"tr0ub4d", false},
		"eight accented characters":   {"äöüéèêëñ", true},
		"128":                         {strings.Repeat("ab-", 42) + "xy", true},
		"129":                         {strings.Repeat("ab-", 43), false},
		"common":                      {"password1", false},
		"common in capitals":          {"PassWord1", false},
		"one character over and over": {"aaaaaaaaaaaa", false},
		"one accented character":      {"éééééééé", false},
		"one, composed or not":        {"e\u0301\u00e9É\u00c9e\u0301éé", false},
		"one of four bytes":           {strings.Repeat("😀", 8), false},
		"one and another":             {"ééééééèé", true},
		"the address":                 {"ada.lovelace@example.com", false},
		"its local part":              {"Ada.Lovelace", false},
	} {
		if fault := PasswordFault(tc.password, "ada.lovelace@example.com"); (fault == "") != tc.fine {
			t.Errorf("%s: fault = %q", name, fault)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newHasher()
	stored, err := h.hash(ctx, "caf\u00e9 au lait")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the parameters are not those agreed: %s", stored)
	}
	if again, _ := h.hash(ctx, "caf\u00e9 au lait"); again == stored {
		t.Error("two hashes of one password are the same: no salt")
	}
	for password, want := range map[string]bool{
		"caf\u00e9 au lait":  true,
		"cafe\u0301 au lait": true, // the same, decomposed
		"Caf\u00e9 au lait":  false,
		"":                   false,
	} {
		if got, err := h.verify(ctx, stored, password); err != nil || got != want {
			t.Errorf("verify(%q) = %t, %v", password, got, err)
		}
	}
	if got, err := h.verify(ctx, nobody, ""); err != nil || got {
		t.Errorf("somebody is nobody: %t, %v", got, err)
	}
	for name, damaged := range map[string]string{
		"empty":         "",
		"bcrypt":        "$2a$10$abcdefghijklmnopqrstuv",
		"no key":        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$",
		"huge memory":   "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43),
		"no passes":     "$argon2id$v=19$m=19456,t=0,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43),
		"other version": "$argon2id$v=16$m=19456,t=2,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43),
	} {
		if got, err := h.verify(ctx, damaged, "x"); err == nil || got {
			t.Errorf("%s: verify = %t, %v", name, got, err)
		}
	}
}

// TestFourHashesAtOnce lets twenty people sign in and register at once.
func TestFourHashesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher()
		var running, most, made atomic.Int32
		finish := make(chan struct{})
		h.derive = func(_, _ []byte, _, _ uint32, _ uint8, length uint32) []byte {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			<-finish
			running.Add(-1)
			made.Add(1)
			return make([]byte, length)
		}
		for i := range 20 {
			go func() {
				if i%2 == 0 {
					_, _ = h.hash(t.Context(), "correct horse")
					return
				}
				_, _ = h.verify(t.Context(), nobody, "correct horse")
			}()
		}
		synctest.Wait() // all hash or wait
		if got := running.Load(); got != 4 {
			t.Errorf("%d hashes are made at once, want 4: each claims 19 MiB", got)
		}
		close(finish)
		synctest.Wait()
		if most.Load() > 4 || made.Load() != 20 {
			t.Errorf("%d hashes were made, up to %d at once", made.Load(), most.Load())
		}
	})
}

func TestHashingWaitsItsTurn(t *testing.T) {
	t.Parallel()
	h := newHasher()
	for range maxParallelHashes {
		if err := h.enter(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.hash(ctx, "whatever1"); err == nil {
		t.Error("a hash began although all turns were taken")
	}
	h.leave()
	if _, err := h.hash(context.Background(), "whatever1"); err != nil {
		t.Errorf("a turn is free, yet %v", err)
	}
}

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"  Ada@Example.COM ":     "ada@example.com",
		"jose\u0301@example.com": "jos\u00e9@example.com",
		"JOSE\u0301@example.com": "jos\u00e9@example.com",
	} {
		if got := NormalizeEmail(given); got != want {
			t.Errorf("NormalizeEmail(%q) = %q, want %q", given, got, want)
		}
		if got := NormalizeEmail(NormalizeEmail(given)); got != want {
			t.Errorf("NormalizeEmail is not stable for %q: %q", given, got)
		}
	}
	for address, fine := range map[string]bool{
		"ada@example.com": true, "a+b@x.io": true, "admin@localhost": true, "josé@example.com": true,
		"": false, "ada": false, "ada@": false, "@example.com": false, "a b@example.com": false,
		"Ada <ada@example.com>": false, "a@b@c": false, "ada@example.com\n": false, "a@x.io,b@x.io": false,
		strings.Repeat("a", 250) + "@x.io": false,
	} {
		if fault := emailFault(address); (fault == "") != fine {
			t.Errorf("emailFault(%q) = %q", address, fault)
		}
	}
}

func TestRoleIncludes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		role, needs Role
		want        bool
	}{
		{Admin, Admin, true},
		{Admin, Operator, true},
		{Admin, Viewer, true},
		{Operator, Admin, false},
		{Operator, Operator, true},
		{Operator, Viewer, true},
		{Viewer, Admin, false},
		{Viewer, Operator, false},
		{Viewer, Viewer, true},
		{"", Viewer, false},
		{"root", Viewer, false},
		{"root", "", false},
	} {
		if got := tc.role.Includes(tc.needs); got != tc.want {
			t.Errorf("%q includes %q = %t", tc.role, tc.needs, got)
		}
	}
}
