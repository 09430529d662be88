package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// documents are the texts that people read.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, root+"/README.md", root+"/SECURITY.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	if len(texts) < 5 {
		t.Fatalf("only %d documents", len(texts))
	}
	return texts
}

var (
	// A command in a line of its own or in a passage set as code.
	makeCommand = regexp.MustCompile("(?m)(?:^    (?:[A-Z_]+=\\S+ )*|`)make (?:-n )?([a-z][a-z-]*)")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	link        = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	heading     = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

func TestDocumentsNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, found := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets[found[1]] = true
	}
	named := 0
	for path, text := range documents(t) {
		for _, found := range makeCommand.FindAllStringSubmatch(text, -1) {
			named++
			if !targets[found[1]] {
				t.Errorf("%s: make has no target %s", path, found[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d commands are found in the documents", named)
	}
}

func TestDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for path, text := range texts {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			file, anchor := found[1], found[2]
			if strings.Contains(file, "://") {
				continue
			}
			to := path
			if file != "" {
				to = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s leads nowhere", path, found[0])
			}
			if target, known := texts[to]; known && anchor != "" && !hasAnchor(target, anchor[1:]) {
				t.Errorf("%s: %s: no such heading", path, found[0])
			}
		}
	}
}

// hasAnchor reports whether a heading has that name, as forges make names.
func hasAnchor(text, anchor string) bool {
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ', r == '-':
				return '-'
			case r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 127:
				return r
			}
			return -1
		}, strings.ToLower(found[1]))
		if name == anchor {
			return true
		}
	}
	return false
}
