package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// Whatever is accepted is JSON to encoding/json too, and reads the same when
// it is written again; nothing makes the reader panic.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+3,"x\"\\\u00e9\ud83d\ude00",true,null,{}],"b":{"c":[]}}`,
		`{"a":1,"a":2}`, `[[[[]]]]`, ` "x" `, `{"a":1}{}`, `{"":{"":""}}`, "\x00", `"\ud800"`, `[1,]`, `{"a"}`, `-`, `1e`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		tree, fault := parseJSON(src)
		if fault != noFaults {
			if tree != nil {
				t.Error("a value with a fault")
			}
			return
		}
		var want, got any
		if err := json.Unmarshal(src, &want); err != nil {
			return // valid by its grammar, but a number out of range
		}
		openAll(tree)
		var again bytes.Buffer
		if !tree.sound(&again) {
			t.Fatal("nothing is sound, though nothing was checked")
		}
		if err := json.Unmarshal(again.Bytes(), &got); err != nil {
			t.Fatalf("written again it is no JSON: %v\n%s", err, again.Bytes())
		}
		if !hasRepeats(tree) && !reflect.DeepEqual(want, got) {
			t.Errorf("%s reads as %v, written again as %v", src, want, got)
		}
	})
}

func openAll(n *node) {
	n.open(len(n.raw))
	for _, m := range n.members {
		openAll(m.value)
	}
	for _, item := range n.items {
		openAll(item)
	}
}

func hasRepeats(n *node) bool {
	for _, m := range n.members {
		if m.repeated || hasRepeats(m.value) {
			return true
		}
	}
	for _, item := range n.items {
		if hasRepeats(item) {
			return true
		}
	}
	return false
}

func TestSoundLeavesOutWhatIsFaulty(t *testing.T) {
	t.Parallel()
	tree, fault := parseJSON([]byte(`{"a":1,"b":{"c":2,"d":3},"e":[1,2],"f":[{"g":4,"h":5}],"i":6}`))
	if fault != noFaults {
		t.Fatal(fault)
	}
	openAll(tree)
	tree.members[0].value.faulty = true                           // a
	tree.members[1].value.members[0].value.faulty = true          // b.c
	tree.members[2].value.items[1].faulty = true                  // e[1]
	tree.members[3].value.items[0].members[1].value.faulty = true // f[0].h
	var got bytes.Buffer
	tree.sound(&got)
	if want := `{"b":{"d":3},"f":[{"g":4}],"i":6}`; got.String() != want {
		t.Errorf("left is %s, want %s", got.String(), want)
	}
}
